"""What is right is found right, and what is wrong is found, with what mends it."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from snakepit import _core
from snakepit._cli import installation, kernel, machine, security, started, stranger
from snakepit._cli.check import Check, guarded

from .conftest import Command

BASIC = "cli.adapters:Basic"
MACHINE = {"kernel", "shared memory", "open files", "control groups", "leftovers", "hardware"}
EVERYWHERE = {"host", "versions", "grpcio end", "worker", "run folder", *MACHINE}
SECURITY = {
    "run folder is private",
    "socket is private",
    "stranger is refused",
    "no secret in arguments",
    "no secret in variables",
    "no core files",
    "no new privileges",
    "no port",
    "no abstract socket",
    "nothing left by close",
    "nothing left of a killed host",
}


def test_all_is_well(command: Command) -> None:
    status, out, err = command("doctor", "--security", "--adapter", BASIC, "--json")
    told = json.loads(out)
    outcomes = {check["name"]: check["outcome"] for check in told["checks"]}
    assert {*outcomes} - {"/dev/shm"} == {*EVERYWHERE, *SECURITY, "adapter"}
    assert [it for it in told["checks"] if it["outcome"] == "failed"] == []
    assert (status, told["ok"], err) == (0, True, "")
    assert {outcomes[name] for name in (*SECURITY, "worker", "adapter", "versions")} == {"ok"}


def test_what_is_wrong_ends_with_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "snakepit._cli.doctor._checks",
        lambda *_: iter(
            [Check("this", True, "is right"), Check("that", False, "is wrong", "mend it")]
        ),
    )
    assert command("doctor") == (
        1,
        "✓ this: is right\n✗ that: is wrong\n    mend it\n1 of 2 checks failed\n",
        "",
    )


@pytest.mark.parametrize(
    ("name", "said", "remedy"),
    [
        ("nowhere:Adapter", "no module named 'nowhere'", "cd to the folder of nowhere"),
        ("cli.adapters:Nobody", "has no class 'Nobody'", None),
        ("nowhere", 'has not the form "module:Class"', None),
    ],
)
def test_an_adapter_that_cannot_start(name: str, said: str, remedy: str | None) -> None:
    [check] = started.adapter(name, None)
    assert not check.good
    assert said in check.told
    assert check.remedy == remedy


def test_a_python_that_cannot_be_a_worker() -> None:
    [check] = started.worker("/bin/true")
    assert not check.good
    assert "/bin/true" in check.told


def test_versions_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakepit_bridge.__version__", "0.0.1")
    [check] = installation.versions()
    assert not check.good
    assert f"the core is {_core.__version__}, but snakepit_bridge 0.0.1" in check.told
    assert f"snakepit-bridge=={_core.__version__}" in str(check.remedy)


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_GRPCIO", {"no.such": "grpcio", "json": "protobuf"})
    [check] = installation.grpcio()
    assert check.good is None
    assert check.told.startswith("grpcio missing")
    assert "snakepit-bridge[grpc]" in str(check.remedy)


def test_a_kernel_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    monkeypatch.setattr(os, "memfd_create", refuse)
    [check] = machine.kernel()
    assert not check.good
    assert "Linux 5.3" in str(check.remedy)
    sealed, *_ = machine.shared_memory()
    assert not sealed.good
    assert "Function not implemented" in sealed.told


@pytest.mark.parametrize(
    ("soft", "hard", "good", "remedy"),
    [
        (1024, 4096, True, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, True, None),
        (256, 1_000_000, None, "ulimit -n 4096"),
        (64, 2048, False, "ulimit -n 2048"),
        (64, 64, False, "raise the hard limit, 64: LimitNOFILE= of the service, or limits.conf"),
    ],
)
def test_descriptors(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, good: bool | None, remedy: str | None
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    [check] = machine.limits()
    assert (check.good, check.remedy) == (good, remedy)


def test_what_a_killed_host_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "snakepit-aaaaaa"
    folder.mkdir()
    ledger = folder / "ledger"
    ledger.touch()
    (tmp_path / "snakepit-bbbbbb").symlink_to(folder)
    with ledger.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        [check] = machine.leftovers()
        assert str(folder) not in check.told
    [check] = machine.leftovers()
    assert check.good is None
    assert check.told.count(str(folder)) == 1
    assert check.remedy == "snakepit cleanup"


def test_a_check_that_cannot_look_has_failed() -> None:
    def look() -> Iterator[Check]:
        yield Check("first", True, "fine")
        raise PermissionError(13, "Permission denied")

    first, second = guarded("both", look)
    assert first.good
    assert second == Check(
        "both", False, "could not be looked at: PermissionError: [Errno 13] Permission denied"
    )


# --- each check of --security can fail ------------------------------------------------------------


def outcomes(checks: Iterator[Check]) -> dict[str, bool | None]:
    return {check.name: check.good for check in checks}


def found(worker: int, **confinement: Any) -> security._Found:
    return security._Found(worker, worker, confinement, b"s3cret")


def test_a_socket_that_others_may_open() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/0.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o666)
            os.chmod(folder, 0o755)
            assert outcomes(security._sockets([path])) == {
                "run folder is private": False,
                "socket is private": False,
            }
    assert outcomes(security._sockets([])) == {"socket": False}


def test_a_host_that_lets_everybody_in() -> None:
    """What the stranger says is a call, and a Hello: else every host would refuse it."""
    grpc = pytest.importorskip("grpc")
    from snakepit.conformance.protocol import messages

    said: list[Any] = []

    def attach(frames: Iterator[bytes], _: object) -> Iterator[bytes]:
        said.append(messages().WorkerFrame.FromString(next(frames)))
        yield b"welcome"

    handler = grpc.method_handlers_generic_handler(
        "snakepit.v1.Host", {"Attach": grpc.stream_stream_rpc_method_handler(attach)}
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([handler])
        server.add_insecure_port(f"unix:{folder}/0.sock")
        server.start()
        try:
            [check] = security._stranger([f"{folder}/0.sock"])
        finally:
            server.stop(None).wait()
    assert not check.good
    assert check.told.endswith("let in")
    assert (said[0].hello.token, said[0].hello.protocol) == (bytes(32), 1)


def test_a_host_that_hangs_up_has_refused() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/0.sock")
        listener.listen()
        hanging_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        assert not stranger.is_let_in(f"{folder}/0.sock")
        hanging_up.join()


def test_a_secret_that_others_can_read() -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "s3cret"],
        env={**os.environ, "TOKEN": "s3cret"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert outcomes(security._secrets(found(process.pid))) == {
            "no secret in arguments": False,
            "no secret in variables": False,
        }
        assert kernel.is_alive(process.pid)
        process.communicate()


def test_a_worker_that_may_do_too_much() -> None:
    assert outcomes(security._confinement(found(1, core=-1, no_new_privs=False))) == {
        "no core files": False,
        "no new privileges": False,
    }


def test_a_port_and_an_abstract_socket() -> None:
    own = found(os.getpid())
    before = kernel.listening_on_tcp(os.getpid())
    assert outcomes(security._ports(own, before))["no abstract socket"]
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0snakes-of-{os.getpid()}")
        abstract.listen()
        assert outcomes(security._ports(own, before)) == {
            "no port": False,
            "no abstract socket": False,
        }


def test_what_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(security, "_SOON", 0.0)
    left = found(os.getpid())
    [check] = security._closed(left, [str(tmp_path / "0.sock")])
    assert not check.good
    assert check.told.endswith(str(tmp_path))
