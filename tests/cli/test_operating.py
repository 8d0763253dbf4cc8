"""Running hosts from outside: what they answer, to whom, and whatever they are busy with."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pool.conftest import Gates, Host, _all_that_may_be_left, gates, host, until

from snakepit import _control
from snakepit._control import ControlError, HostSocket

__all__ = ["gates", "host"]

PROGRAM = """
import ctypes, os, sys, snakepit, time
libc = ctypes.PyDLL(None)  # a call of it keeps the interpreter
options = {"size": 1, "grace": 0.3, "recycle": snakepit.Recycle()}
open_pool = snakepit.Pool("pool.adapters:Basic", name="open", **options)
shown = snakepit.Pool("pool.adapters:Basic", name="shown", control="read", **options)
hidden = snakepit.Pool("pool.adapters:Basic", name="hidden", control="off", **options)
for pool in (open_pool, shown, hidden):
    pool.await_ready(60)
print("ready", flush=True)
calls = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "hold":
        libc.read(os.open(rest[0], os.O_RDWR), ctypes.create_string_buffer(1), 1)
        print("let go", flush=True)
    elif word == "call":
        tool, started, release = rest
        calls.append(open_pool.submit(tool, {"started": started, "release": release}))
    elif word == "fork":
        if not (child := os.fork()):
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
"""


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


class Running:
    """A host that does what it is told on its standard input."""

    def __init__(self, host: Host) -> None:
        self.process = host.start(host.write(PROGRAM), stdin=subprocess.PIPE)
        if self.heard() != "ready":
            pytest.fail(self.process.stderr.read())
        self.pid = self.process.pid

    def tell(self, *words: str) -> None:
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def heard(self) -> str:
        return str(self.process.stdout.readline()).strip()

    @property
    def socket(self) -> HostSocket:
        found = _control.find()
        return next(it for it in [*found.sockets, *found.stale] if it.pid == self.pid)

    def pool(self, name: str = "open") -> dict[str, Any]:
        pools = self.socket.ask("status")["pools"]
        return next(pool for pool in pools if pool["name"] == name)

    def worker(self) -> dict[str, Any]:
        worker: dict[str, Any] = self.pool()["workers"][0]
        return worker


@pytest.fixture(scope="module")
def nothing_left() -> Iterator[None]:
    """Of all hosts here; not after each test, since workers of the shared one are replaced."""
    before = _all_that_may_be_left()
    yield
    until(lambda: _all_that_may_be_left() <= before, "all processes are gone")


@pytest.fixture(scope="module")
def running(nothing_left: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One host for those tests that leave it as it was."""
    host = Host(tmp_path_factory.mktemp("host"))
    yield Running(host)
    for process in host.started:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def killable(host: Host) -> Running:
    return Running(host)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, which shows as much as a program of its own."""
    from snakepit.__main__ import main

    def run(*arguments: str | int) -> Ended:
        capfd.readouterr()
        try:
            status = main([*map(str, arguments)])
        except SystemExit as ended:
            status = int(str(ended.code))
        return Ended(status, *capfd.readouterr())

    return run


def test_status_tells_people_and_programs(command: Command, running: Running, gates: Gates) -> None:
    running.tell("call", "hold", gates("s"), gates("go"))
    gates.wait("s")
    told = command("status", "--host", running.pid)
    assert (told.returncode, told.stderr) == (0, "")
    assert f"host {running.pid}  snakepit " in told.stdout
    assert "job.py" in told.stdout
    assert "pool open  open, healthy  1/1 ready  1 running  0 queued" in told.stdout
    assert "pool shown" in told.stdout
    assert "hidden" not in told.stdout
    assert "\033" not in told.stdout, "no colour, since no terminal reads"

    told = command("status", "--json", "--host", running.pid)
    [host] = json.loads(told.stdout)["hosts"]
    assert (host["pid"], [pool["name"] for pool in host["pools"]]) == (
        running.pid,
        ["open", "shown"],
    )
    assert host["uptime"] > 0
    worker = host["pools"][0]["workers"][0]
    [call] = worker["running"]
    assert (worker["state"], call["tool"], worker["waiting"]) == ("busy", "hold", 0)
    assert 0 <= call["running_for"] <= worker["age"]
    assert worker["memory"] > 1 << 20
    page = (Path(__file__).parents[2] / "docs/operating.md").read_text()
    for told in (host, host["pools"][0], worker, call):
        for field in told:
            assert f"`{field}`" in page, f"docs/operating.md does not tell of {field}"
    gates.open("go")
    until(lambda: running.worker()["state"] == "ready", "the call ends")


def test_a_host_answers_while_its_interpreter_is_held(running: Running, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    before = running.worker()
    running.tell("hold", str(fifo))
    with open(fifo, "wb", buffering=0) as door:  # waits until the host is there
        assert running.worker()["generation"] == before["generation"]
        assert running.socket.ask("recycle", pool="open", slot=0)["slot"] == 0
        until(
            lambda: running.worker()["generation"] > before["generation"],
            "a worker is replaced meanwhile, too",
        )
        until(lambda: running.worker()["state"] == "ready", "it takes its place")
        silent = select.select([running.process.stdout], [], [], 0)
        assert not silent[0], "the interpreter is still held"
        door.write(b".")
    assert running.heard() == "let go"


def test_stack_shows_where_a_worker_is(command: Command, running: Running, gates: Gates) -> None:
    idle = command("stack", "open/0", "--host", running.pid)
    assert (idle.returncode, idle.stderr) == (0, "")
    assert "Thread MainThread" in idle.stdout
    running.tell("call", "hold", gates("s"), gates("go"))
    gates.wait("s")
    told = json.loads(command("stack", "open/0", "--json", "--host", running.pid).stdout)
    assert told["by"] == "interpreter"
    assert "in hold" in told["text"]
    assert "adapters.py" in told["text"]
    assert running.worker()["state"] == "busy", "it goes on"
    gates.open("go")
    until(lambda: running.worker()["state"] == "ready", "the call ends")


@pytest.mark.skipif(
    os.environ.get("SNAKEPIT_LINE") == "grpcio",
    reason="a thread of Python tells the stack there: not while a tool holds the interpreter",
)
def test_stack_shows_a_worker_whose_interpreter_is_held(
    command: Command, running: Running, gates: Gates
) -> None:
    os.mkfifo(gates("go"))
    running.tell("call", "seize", gates("s"), gates("go"))
    gates.wait("s")
    told = command("stack", "open/0", "--host", running.pid)
    assert (told.returncode, told.stderr) == (0, "")
    assert "its interpreter is held, this is from outside and without asyncio tasks" in told.stdout
    assert "in seize" in told.stdout
    Path(gates("go")).write_text("go")
    until(lambda: running.worker()["state"] == "ready", "the call ends")


def test_recycle_replaces_the_worker_that_is_meant(command: Command, running: Running) -> None:
    before = running.worker()
    generation = before["generation"]
    wrong = command("recycle", "open/0", "--generation", generation + 7, "--host", running.pid)
    assert wrong.returncode == 1
    assert "is gone" in wrong.stderr
    told = command("recycle", "open/0", "--generation", generation, "--host", running.pid)
    assert (told.returncode, told.stderr) == (0, "")
    until(lambda: running.worker()["generation"] == generation + 1, "a fresh one is there")
    assert running.worker()["pid"] != before["pid"]


@pytest.mark.parametrize("verb", ["stack", "recycle"])
def test_a_worker_that_may_not_be_touched_is_not(
    command: Command, running: Running, verb: str
) -> None:
    for name, said in [
        ("shown/0", 'control="admin"'),
        ("hidden/0", "there is: open, shown"),
        ("open/1", "has no slot 1"),
    ]:
        told = command(verb, name, "--host", running.pid)
        assert (told.returncode, told.stdout) == (1, "")
        assert said in told.stderr
    for name in ("open", "open/x", "/0", "open/0/0", "open#/0", "open/-1"):
        told = command(verb, "--host", running.pid, "--", name)
        assert told.returncode == 2
        assert "POOL/SLOT" in told.stderr


def test_two_hosts_are_both_shown_and_one_is_meant(
    command: Command, running: Running, killable: Running
) -> None:
    told = json.loads(command("status", "--json").stdout)
    assert {running.pid, killable.pid} <= {host["pid"] for host in told["hosts"]}
    told = json.loads(command("status", "--json", "--host", killable.pid).stdout)
    assert [host["pid"] for host in told["hosts"]] == [killable.pid]
    ambiguous = command("stack", "open/0")
    assert ambiguous.returncode == 1
    assert "--host PID" in ambiguous.stderr


def test_a_killed_host_is_told_from_a_living_one(
    command: Command, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else any host that starts meanwhile sweeps what this one leaves. A socket's path is short.
    with tempfile.TemporaryDirectory(dir="/tmp") as apart:
        monkeypatch.setenv("XDG_RUNTIME_DIR", apart)
        _kill_and_sweep(command, Running(host))


def _kill_and_sweep(command: Command, killable: Running) -> None:
    # A copy of it must not answer in its place.
    killable.tell("fork")
    child = int(killable.heard())
    path = killable.socket.path
    killable.process.kill()
    killable.process.wait()
    try:
        with pytest.raises(ControlError) as lost:
            HostSocket(path, killable.pid).ask("status")
        assert lost.value.kind == "lost"
        told = command("status", "--host", killable.pid)
        assert told.returncode == 3
        assert "was killed" in told.stderr
        assert "snakepit cleanup" in told.stderr
    finally:
        os.kill(child, signal.SIGKILL)
    assert command("cleanup").returncode == 0
    assert not os.path.exists(os.path.dirname(path)), "swept with the folder"


def test_a_stopped_host_costs_a_client_its_patience_alone(killable: Running) -> None:
    silent = killable.socket
    os.kill(killable.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ControlError, match="does not answer") as error:
            silent.ask("status", patience=0.3)
        assert error.value.kind == "silent"
    finally:
        os.kill(killable.pid, signal.SIGCONT)
    assert silent.ask("hello")["pid"] == killable.pid


def test_the_socket_goes_with_the_last_pool(host: Host) -> None:
    status, _, err = host.run_script("""
import os, snakepit
from snakepit import _control
mine = lambda: [it.path for it in _control.find().sockets if it.pid == os.getpid()]
with snakepit.Pool("pool.adapters:Basic", size=1, control="off"):
    assert not mine()
    with snakepit.Pool("pool.adapters:Basic", size=1, name="a"), \\
         snakepit.Pool("pool.adapters:Basic", size=1, name="b") as b:
        [path] = mine()
        b.close()
        told = _control.HostSocket(path, None).ask("status")
        assert [pool["name"] for pool in told["pools"]] == ["a"], told
    assert not os.path.exists(path)
with snakepit.Pool("pool.adapters:Basic", size=1, name="c"):
    assert len(mine()) == 1, "it comes back"
""")
    assert status == 0, err


def test_no_host_is_a_status_of_its_own(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_control, "_bases", list)
    for arguments in (["status"], ["top", "--count", "1"], ["stack", "a/0"], ["recycle", "a/0"]):
        told = command(*arguments)
        assert (told.returncode, told.stdout) == (3, "")
        assert "no running host" in told.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_another_user_is_let_in_by_no_mode_of_a_file(running: Running) -> None:
    path = running.socket.path
    folder = os.path.dirname(path)
    request = f"""
import os, socket
os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
try:
    s.sendall(b'{{"version":1,"verb":"status"}}\\n')
except BrokenPipeError:
    pass
print(s.recv(4096).decode())
"""

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", request], capture_output=True, text=True, check=False
        )

    assert "PermissionError" in ask().stderr
    os.chmod(folder, 0o755)
    os.chmod(path, 0o666)
    try:
        told = ask()
        assert json.loads(told.stdout)["error"]["kind"] == "user", told.stderr
    finally:
        os.chmod(path, 0o600)
        os.chmod(folder, 0o700)


def test_what_another_user_serves_is_not_read(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "snakepit-abcdef"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server, open(folder / "ledger", "w") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)  # as a host has it that lives
        server.bind(str(folder / "operator.sock"))
        server.listen()
        monkeypatch.setattr(_control, "_bases", lambda: [str(tmp_path)])
        [found] = _control.find().sockets
        monkeypatch.setattr(_control, "_peer", lambda connection: 12345)
        with pytest.raises(ControlError) as error:
            found.ask("status")
        assert error.value.kind == "user"


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"[]\n", b'{"status":3}\n', b'{"status":\n', b"\xff\n"]
)
def test_what_is_no_answer_is_told_as_that(tmp_path: Path, said: bytes) -> None:
    import threading

    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ControlError) as error:
            HostSocket(path, 7).ask("status")
        thread.join()
    assert error.value.kind == ("garbled" if said else "lost")


def test_a_reader_that_has_seen_enough_is_no_error(running: Running) -> None:
    for arguments in (["status"], ["top", "--interval", "0.1"]):
        with subprocess.Popen(
            [sys.executable, "-m", "snakepit", *arguments, "--host", str(running.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(1)
            process.stdout.close()
            assert (process.stderr.read(), process.wait(30)) == (b"", 0)


def test_top_prints_looks_where_no_terminal_is(command: Command, running: Running) -> None:
    told = command("top", "--count", 2, "--interval", 0.1, "--host", running.pid)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("pool open") == told.stdout.count("pool shown") == 2
    assert "calls/s" in told.stdout
    assert "%" in told.stdout
    assert "\033" not in told.stdout
    told = command("top", "--count", 2, "--interval", 0.1, "--json", "--host", running.pid)
    looks = [json.loads(line) for line in told.stdout.splitlines()]
    assert [look["hosts"][0]["pools"][0]["rate"] for look in looks] == [None, 0.0]


def test_top_at_a_terminal_ends_at_q_and_leaves_it_as_it_was(running: Running) -> None:
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "snakepit", "top", "--host", str(running.pid)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"},
    )
    shown = b""
    while b"q: end" not in shown or b"shown" not in shown:
        assert select.select([ours], [], [], 60)[0], shown
        shown += os.read(ours, 65536)
    os.write(ours, b"q")
    while process.poll() is None:
        if select.select([ours], [], [], 0.05)[0]:
            os.read(ours, 65536)
    assert process.returncode == 0
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_texts_of_a_host_cannot_steer_a_terminal() -> None:
    assert _control.printable("a\033[2Jb\r\x9b") == "a\ufffd[2Jb\ufffd\ufffd"
