"""Nothing survives shims that are killed or stopped, or hosts that are killed."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakepit import CleanupReport, WorkerDied, cleanup
from snakepit.__main__ import main

from .conftest import TESTS, Gates, Host, marked_processes, until

LINES = ["native", "grpcio"]
STUBBORN = "pool.stubborn:Stubborn"
SCRIPT = "import sys; from snakepit.__main__ import main"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def hosting(
    gates: Gates, tool: str = "family", arguments: str = "{}", size: int = 1, line: str = ""
) -> str:
    """A program whose workers' first has a family; it says shim, worker and family."""
    options = f", line={line!r}" if line else ""
    return f"""
import os, snakepit, time
pool = snakepit.Pool({STUBBORN!r}, size={size}{options})
pool.await_ready(60)
family = pool.execute({tool!r}, {arguments})
worker = next(worker.pid for worker in pool.list_workers() if worker.calls)
shim = int(open(f"/proc/{{worker}}/stat").read().rpartition(")")[2].split()[1])
print(shim, worker, *family, flush=True)
pool.execute("hold", {{"started": {gates("s")!r}, "release": {gates("go")!r}}})
"""


def start(host: Host, gates: Gates, size: int = 1, line: str = "") -> tuple[Any, list[int]]:
    process = host.start_script(hosting(gates, size=size, line=line))
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


@pytest.mark.parametrize("line", LINES)
def test_a_killed_shim_leaves_nothing(make_pool: Any, gates: Gates, line: str) -> None:
    pool = make_pool(STUBBORN, size=1, line=line)
    family = pool.execute("family")
    call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    os.kill(parent(pool.list_workers()[0].pid), signal.SIGKILL)
    error = call.exception(30)
    assert isinstance(error, WorkerDied)
    assert error.cause == "shim"
    assert pool.execute("ping", timeout=60) == "pong"
    assert not any(map(alive, family)), "the slot is refilled when nothing is left"


@pytest.mark.parametrize("line", LINES)
def test_a_killed_host_with_a_stopped_shim_leaves_nothing(
    host: Host, gates: Gates, line: str
) -> None:
    process, (shim, *_) = start(host, gates, line=line)
    os.kill(shim, signal.SIGSTOP)
    process.kill()
    process.communicate()
    until(lambda: not marked_processes(), "the worker has the shim go on", seconds=10)


@pytest.mark.parametrize("line", LINES)
def test_a_sibling_sweeps_where_the_host_is_killed_behind_a_shim(
    host: Host, gates: Gates, line: str
) -> None:
    process, (shim, worker, *_) = start(host, gates, size=2, line=line)
    process.send_signal(signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker dies with its shim")
    process.kill()
    process.communicate()
    until(lambda: not marked_processes(), "the other shim has swept", seconds=10)


@pytest.mark.parametrize("line", LINES)
def test_a_host_in_a_worker_is_swept_behind_as_well(
    host: Host, make_pool: Any, gates: Gates, line: str
) -> None:
    script = host.write(hosting(gates, size=2, line=line))
    outer = make_pool(STUBBORN, size=1, line=line)
    inner, told = outer.execute("be_host_to", {"script": str(script), "path": str(TESTS)})
    shim, worker, *family = map(int, told.split())
    gates.wait("s")
    os.kill(inner, signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    until(lambda: not alive(worker), "the worker dies with its shim")
    os.kill(inner, signal.SIGKILL)
    until(lambda: not any(map(alive, family)), "a shim of the inner host has swept", seconds=10)
    assert outer.execute("ping") == "pong"


def test_a_clean_environment_does_not_hide_from_the_shim(make_pool: Any) -> None:
    pool = make_pool(STUBBORN, size=1)
    family = pool.execute("family", {"clean": True})
    pool.close()
    assert not any(map(alive, family))


def test_cleanup_on_the_command_line(host: Host, gates: Gates, runtime_dir: Path) -> None:
    _, family = leave_a_family(host, gates)
    assert len([*runtime_dir.iterdir()]) == 1
    # Where it looks by itself there may be what other tests have left.
    code, out, err = host.run("-m", "snakepit", "cleanup", runtime_dir)
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
    arguments = ["cleanup", str(runtime_dir)]
    code, out, _ = host.run("-c", f"{SCRIPT}; sys.argv[1:] = {arguments}; sys.exit(main())")
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
        # Elsewhere there may be what other tests have left.
        done = cleanup(runtime_dir)
        assert {*family} == {*done.ended}
        assert not any(map(alive, family))
        assert not Path(os.fsdecode(groups[0].partition(b"=")[2])).exists()
    finally:
        for pid in filter(alive, family):
            os.kill(pid, signal.SIGKILL)


def test_only_the_folders_that_are_named_are_looked_in(
    host: Host, gates: Gates, runtime_dir: Path
) -> None:
    dead, family = leave_a_family(host, gates)
    assert not cleanup(runtime_dir / "none", str(runtime_dir / "other")).hosts
    assert all(map(alive, family))
    assert cleanup(str(runtime_dir / "none"), runtime_dir).hosts == [dead]
    assert not any(map(alive, family))


def test_a_host_whose_ledger_was_removed_is_left_alone(
    host: Host, gates: Gates, runtime_dir: Path
) -> None:
    process, (_, worker, *_) = start(host, gates)
    (folder,) = runtime_dir.iterdir()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):  # By this systemd-tmpfiles leaves the folder alone.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
    (folder / "ledger").unlink()
    old = time.time() - 3600
    os.utime(folder, (old, old))
    assert cleanup(runtime_dir).folders == 0
    os.kill(worker, signal.SIGKILL)
    gates.open("go")
    process.communicate(timeout=60)
    assert [*runtime_dir.iterdir()] == [], "its host has removed it"


def test_folders_of_others_with_such_a_name_are_theirs(runtime_dir: Path) -> None:
    folder = runtime_dir / "snakepit-output"
    folder.mkdir(mode=0o700)
    (folder / "7.sock").touch()
    (runtime_dir / "snakepit-aaaaaa").mkdir(mode=0o700)
    for each in runtime_dir.iterdir():
        os.utime(each, (0, 0))
    assert cleanup(runtime_dir).folders == 0
    assert (folder / "7.sock").exists()
    assert (runtime_dir / "snakepit-aaaaaa").exists()


def test_whom_it_may_not_end_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = CleanupReport(hosts=[], ended=[], refused=[1, 2**22 + 1, os.getpid()], folders=0)
    monkeypatch.setattr("snakepit._cleanup.cleanup", lambda *_: refused)
    monkeypatch.setattr(os, "geteuid", lambda: os.stat("/proc/self").st_uid)
    owner = os.stat("/proc/1").st_uid
    assert main(["cleanup"]) == 1
    _, gone, mine = capsys.readouterr().err.splitlines()
    assert gone == f"process {2**22 + 1} refused the signal and has ended since"
    assert mine.startswith(f"process {os.getpid()} may not be ended: ")
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert main(["cleanup"]) == 1
    assert f"process 1 belongs to user {owner} now" in capsys.readouterr().err


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


def test_two_hosts_that_start_and_sweep_at_once_touch_only_their_own(
    host: Host, runtime_dir: Path
) -> None:
    def sweeping(line: str) -> Any:
        script = f"""
import os, signal, snakepit, time
def pool(size):
    return snakepit.Pool({STUBBORN!r}, size=size, line={line!r})
with pool(1) as untouched, pool(2) as beset:
    untouched.await_ready(60), beset.await_ready(60)
    family = untouched.execute("family")
    for deaths in range(6):
        stat = open(f"/proc/{{beset.list_workers()[0].pid}}/stat").read()
        os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
        while beset.stats().worker_deaths <= deaths:
            time.sleep(0.005)
        beset.await_ready(60)
        assert not snakepit.cleanup(os.environ["XDG_RUNTIME_DIR"]).ended
    [os.kill(pid, 0) for pid in family]
    print(untouched.execute("ping"), untouched.stats().worker_deaths, beset.stats().worker_deaths)
"""
        return host.start(host.write(script, f"{line}.py"))

    for process in [sweeping(line) for line in LINES]:
        out, err = process.communicate(timeout=120)
        assert (out, process.returncode) == ("pong 0 6\n", 0), err


def test_no_run_folder_is_left(host: Host, runtime_dir: Path) -> None:
    code, out, err = host.run_script(
        "import os, snakepit\n"
        "folder = os.environ['XDG_RUNTIME_DIR']\n"
        f"with snakepit.Pool({STUBBORN!r}, size=1) as one:\n"
        f"    with snakepit.Pool({STUBBORN!r}, size=1) as two:\n"
        "        one.execute('ping'), two.execute('ping')\n"
        "        (name,) = os.listdir(folder)\n"
        "        print(*sorted(os.listdir(os.path.join(folder, name)))[-2:])\n"
        "del one, two\n"
    )
    assert (code, out) == (0, "ledger operator.sock\n"), err
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
