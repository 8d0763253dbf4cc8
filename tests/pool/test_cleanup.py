"""Nothing survives shims that are killed or stopped, or hosts that are killed."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakepit import WorkerDied, cleanup

from .conftest import Gates, Host, marked_processes, until

STUBBORN = "pool.stubborn:Stubborn"
SCRIPT = "import sys; from snakepit.__main__ import main"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def hosting(gates: Gates, tool: str = "family", arguments: str = "{}") -> str:
    """A program with one worker, which has a family; it says shim, worker and family."""
    return f"""
import os, snakepit, time
pool = snakepit.Pool({STUBBORN!r}, size=1)
family = pool.execute({tool!r}, {arguments})
worker = pool.list_workers()[0].pid
shim = int(open(f"/proc/{{worker}}/stat").read().rpartition(")")[2].split()[1])
print(shim, worker, *family, flush=True)
pool.execute("hold", {{"started": {gates("s")!r}, "release": {gates("go")!r}}})
"""


def start(host: Host, gates: Gates) -> tuple[Any, list[int]]:
    process = host.start_script(hosting(gates))
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 5
    gates.wait("s")
    return process, pids


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run folders apart from everybody's: another test's first pool cleans up too."""
    # Not below pytest's own folder: that path is too long for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield Path(directory)


def leave_a_family(host: Host, gates: Gates) -> tuple[int, list[int]]:
    """A host that could not sweep behind its killed shim: it was stopped, then killed."""
    process, (shim, worker, *family) = start(host, gates)
    process.send_signal(signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker dies with its shim")
    process.kill()
    process.communicate()
    assert all(map(alive, family)), "nobody sees to them"
    return process.pid, family


def test_a_killed_shim_leaves_nothing(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(STUBBORN, size=1)
    family = pool.execute("family")
    call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    os.kill(parent(pool.list_workers()[0].pid), signal.SIGKILL)
    error = call.exception(30)
    assert isinstance(error, WorkerDied)
    assert error.cause == "shim"
    assert pool.execute("ping", timeout=60) == "pong"
    assert not any(map(alive, family)), "the slot is refilled when nothing is left"


def test_a_killed_host_with_a_stopped_shim_leaves_nothing(host: Host, gates: Gates) -> None:
    process, (shim, *_) = start(host, gates)
    os.kill(shim, signal.SIGSTOP)
    process.kill()
    process.communicate()
    until(lambda: not marked_processes(), "the worker has the shim go on", seconds=10)


def test_a_clean_environment_does_not_hide_from_the_shim(make_pool: Any) -> None:
    pool = make_pool(STUBBORN, size=1)
    family = pool.execute("family", {"clean": True})
    pool.close()
    assert not any(map(alive, family))


def test_cleanup_on_the_command_line(host: Host, gates: Gates, runtime_dir: Path) -> None:
    _, family = leave_a_family(host, gates)
    assert len([*runtime_dir.iterdir()]) == 1
    code, out, err = host.run("-m", "snakepit", "cleanup")
    assert (code, err) == (0, "")
    *ended, total = out.splitlines()
    assert {*ended} == {f"ended process {pid}" for pid in family}
    assert total == "1 dead hosts, 3 processes ended, 1 run folders removed"
    assert not any(map(alive, family))
    assert [*runtime_dir.iterdir()] == []


def test_the_command_is_installed(host: Host, runtime_dir: Path) -> None:
    (command,) = (
        entry
        for entry in importlib.metadata.entry_points(group="console_scripts", name="snakepit")
        if entry.dist is not None and entry.dist.name == "snakepit-pool"
    )
    assert command.value == "snakepit.__main__:main"
    code, out, _ = host.run("-c", f"{SCRIPT}; sys.argv[1:] = ['cleanup']; sys.exit(main())")
    assert (code, out) == (0, "0 dead hosts, 0 processes ended, 0 run folders removed\n")
    assert host.run("-c", f"{SCRIPT}; sys.argv[1:] = []; main()")[0] == 2, "no command"
    assert host.run("-c", f"{SCRIPT}; sys.argv[1:] = ['cleanse']; main()")[0] == 2


def test_a_control_group_has_whom_no_mark_leads_to(
    host: Host, gates: Gates, runtime_dir: Path
) -> None:
    process = host.start_script(hosting(gates, "family", "{'clean': True}"))
    shim, worker, *family = map(int, process.stdout.readline().split())
    gates.wait("s")
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    groups = [entry for entry in environment if entry.startswith(b"SNAKEPIT_GROUP=")]
    process.send_signal(signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker dies with its shim")
    process.kill()
    process.communicate()
    try:
        if not groups:
            pytest.skip("no control group can be made here")
        done = cleanup()
        assert {*family} == {*done.ended}
        assert not any(map(alive, family))
        assert not Path(os.fsdecode(groups[0].partition(b"=")[2])).exists()
    finally:
        for pid in filter(alive, family):
            os.kill(pid, signal.SIGKILL)


def test_cleanup_by_call_says_what_it_did(host: Host, gates: Gates, runtime_dir: Path) -> None:
    dead, family = leave_a_family(host, gates)
    done = cleanup()
    assert dead in done.hosts
    assert {*family} <= {*done.ended}
    assert done.folders >= 1
    assert done.refused == []
    assert dead not in cleanup().hosts, "once is enough"


def test_the_next_host_does_it_too(host: Host, gates: Gates, runtime_dir: Path) -> None:
    _, family = leave_a_family(host, gates)
    code, out, _ = host.run_script(
        "import snakepit\n"
        f"with snakepit.Pool({STUBBORN!r}, size=1) as pool:\n"
        "    print(pool.execute('ping'))\n"
    )
    assert (code, out) == (0, "pong\n")
    until(lambda: not any(map(alive, family)), "the family is gone")


def test_a_living_host_is_not_touched(
    host: Host, gates: Gates, runtime_dir: Path, make_pool: Any
) -> None:
    pool = make_pool(STUBBORN, size=1)
    pool.await_ready(60)
    process, pids = start(host, gates)
    process.send_signal(signal.SIGSTOP)  # Not even one that is stopped.
    done = cleanup()
    assert process.pid not in done.hosts
    assert not {*pids} & {*done.ended}
    process.send_signal(signal.SIGCONT)
    assert all(map(alive, pids))
    assert pool.execute("ping") == "pong"
    gates.open("go")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [*runtime_dir.iterdir()] == [*pool_folders(runtime_dir)]


def pool_folders(runtime_dir: Path) -> list[Path]:
    """Those of this process, which may have made its folder elsewhere before."""
    mine = str(os.getpid())
    return [
        folder
        for folder in runtime_dir.iterdir()
        if (folder / "ledger").read_text().split()[2] == mine
    ]


def test_two_hosts_of_one_user_side_by_side(host: Host, gates: Gates) -> None:
    process, _ = start(host, gates)
    other = host.start(
        "-c",
        "import snakepit, sys\n"
        f"pool = snakepit.Pool({STUBBORN!r}, size=1)\n"
        "print(pool.execute('ping'), flush=True)\n"
        "sys.stdin.readline()\n"
        "print(pool.execute('ping'), pool.stats().worker_deaths)\n",
        stdin=subprocess.PIPE,
    )
    assert other.stdout.readline() == "pong\n"
    process.kill()
    process.communicate()
    out, err = other.communicate("go on\n", timeout=60)
    assert out == "pong 0\n", err


def test_no_run_folder_is_left(host: Host, runtime_dir: Path) -> None:
    code, out, err = host.run_script(
        "import os, snakepit\n"
        "folder = os.environ['XDG_RUNTIME_DIR']\n"
        f"with snakepit.Pool({STUBBORN!r}, size=1) as one:\n"
        f"    with snakepit.Pool({STUBBORN!r}, size=1) as two:\n"
        "        one.execute('ping'), two.execute('ping')\n"
        "        (name,) = os.listdir(folder)\n"
        "        print(sorted(os.listdir(os.path.join(folder, name)))[-1])\n"
        "del one, two\n"
    )
    assert (code, out) == (0, "ledger\n"), err
    assert [*runtime_dir.iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_worker_that_changed_its_user_dies_with_its_shim(make_pool: Any) -> None:
    pool = make_pool("pool.stubborn:ChangesUser", size=1)
    assert pool.execute("ping") == "pong"
    worker = pool.list_workers()[0].pid
    os.kill(parent(worker), signal.SIGKILL)
    until(lambda: not alive(worker), "the worker dies with its shim")
    # Else the call may be sent before the host knows.
    until(lambda: pool.stats().worker_deaths, "the host has noticed")
    assert pool.execute("ping", timeout=60) == "pong"


def test_the_mark_is_no_secret_and_each_worker_has_its_own(make_pool: Any) -> None:
    pool = make_pool(size=2)
    pool.await_ready(60)
    marks = set()
    for worker in pool.list_workers():
        environment = Path(f"/proc/{worker.pid}/environ").read_bytes().split(b"\0")
        marks.update(entry for entry in environment if entry.startswith(b"SNAKEPIT_RUN="))
    assert len(marks) == 2
    assert len({mark.rpartition(b"-")[0] for mark in marks}) == 1, "of one run"
