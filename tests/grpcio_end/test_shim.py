"""The shim in pure Python: how workers start and die, and take everything of theirs along.

The same promises as in ``crates/core/tests/process``, where the native shim keeps them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from .conftest import BOUND, PARTS, PROCESS, Death, Run, Worker

EXITED, KILLED = 1, 2
KILL = int(signal.SIGKILL)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_worker_answers_and_dies_with_its_control_socket(run: Run, worker: Worker) -> None:
    assert run.alive() == {worker.pid, worker.shim.pid}
    assert parent_of(worker.pid) == worker.shim.pid
    started = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[19]
    assert int(started) == worker.start_time
    worker.say(b"P", 42)
    assert worker.control.recv(100) == b"A" + (42).to_bytes(8, "little")

    worker.control.close()
    assert worker.shim.wait(BOUND) == 128 + KILL
    assert not run.alive(), "the shim leaves last"


def test_the_shim_keeps_nothing_open_that_it_does_not_need(worker: Worker) -> None:
    shim = Path(f"/proc/{worker.shim.pid}")
    assert (shim / "comm").read_text() == "snakepit-shim\n"
    assert os.readlink(shim / "cwd") == "/"
    targets = {int(fd.name): os.readlink(fd) for fd in (shim / "fd").iterdir()}
    assert [targets.pop(number) for number in (0, 1, 2)] == ["/dev/null"] * 3
    kinds = sorted(target.partition(":")[0] for target in targets.values())
    assert len(kinds) == 4, "control socket, signals, host, worker"
    assert kinds.count("socket") == 1
    assert "pipe" not in kinds


def test_hanging_up_ends_the_whole_family_although_a_copy_is_open(run: Run) -> None:
    worker = run.worker(b"family")
    worker.ready()
    run.until(lambda alive: len(alive) == 5, "the family")
    with worker.control.dup():
        worker.control.shutdown(socket.SHUT_RDWR)
        assert worker.shim.wait(BOUND) == 128 + KILL
    assert not run.alive(), "the shim leaves last"


@pytest.mark.parametrize(
    ("kind", "number", "death", "code"),
    [
        (b"C", 7, (EXITED, 7), 7),
        (b"C", 0, (EXITED, 0), 0),
        (b"G", signal.SIGSEGV, (KILLED, signal.SIGSEGV), 128 + signal.SIGSEGV),
        (b"G", KILL, (KILLED, KILL), 128 + KILL),
        (b"G", signal.SIGRTMIN + 1, (KILLED, signal.SIGRTMIN + 1), 128 + signal.SIGRTMIN + 1),
    ],
)
def test_a_death_is_told_at_once_and_takes_the_family_along(
    run: Run, kind: bytes, number: int, death: Death, code: int
) -> None:
    worker = run.worker(b"family")
    worker.ready()
    run.until(lambda alive: len(alive) == 5, "the family")
    worker.say(kind, number)
    assert worker.death() == death
    assert worker.shim.wait(BOUND) == code
    assert not run.alive(), "the shim leaves last"
    assert worker.control.recv(100) == b""


def test_a_worker_that_holds_the_interpreter_dies_too(run: Run, worker: Worker) -> None:
    worker.say(b"H")
    worker.control.close()
    assert worker.shim.wait(BOUND) == 128 + KILL
    assert not run.alive()


def test_nothing_outlives_a_killed_host(run: Run) -> None:
    host = run.spawn("host")
    # Its child holds copies of all that the host had open: no end of file tells anybody anything.
    forked = int(host.stdout.readline())
    run.until(lambda alive: len(alive) == 7, "all are there")
    host.kill()
    host.wait(BOUND)
    run.until(lambda alive: alive == {forked}, "only the host's child is left")
    os.kill(forked, signal.SIGKILL)


def test_a_dead_shim_takes_its_worker_along(run: Run, worker: Worker) -> None:
    worker.shim.kill()
    assert worker.shim.wait(BOUND) == -KILL
    assert worker.ended()
    assert worker.control.recv(100) == b""


def test_a_shim_sweeps_for_its_killed_sibling_when_their_host_dies(run: Run) -> None:
    mark = uuid.uuid4().hex
    host = run.spawn("host", SNAKEPIT_RUN=f"{mark}-1")
    int(host.stdout.readline())
    run.until(lambda alive: len(alive) == 7, "all are there")
    # What carries the host's mark and is below no shim.
    left = run.spawn("daemon", SNAKEPIT_RUN=f"{mark}-2")
    other = run.spawn("daemon", SNAKEPIT_RUN=f"{uuid.uuid4().hex}-1")
    host.kill()
    host.wait(BOUND)
    assert left.wait(BOUND) == -KILL
    run.until(lambda alive: alive == {other.pid}, "the mark of others is theirs")
    other.kill()


def test_a_host_whose_first_thread_ended_is_not_taken_for_dead(run: Run) -> None:
    mark = uuid.uuid4().hex
    host = run.spawn("host", SNAKEPIT_RUN=f"{mark}-1", SNAKES_HEADLESS="1")
    worker = int(host.stdout.readline())
    shim = parent_of(worker)
    # What its shim would sweep if there were nobody else to do it.
    left = run.spawn("daemon", SNAKEPIT_RUN=f"{mark}-2")
    os.kill(worker, signal.SIGKILL)
    run.until(lambda alive: shim not in alive, "the shim has done its work")
    assert left.poll() is None, "its host lives"
    left.kill()
    host.kill()


def test_a_control_group_has_whom_neither_tree_nor_mark_leads_to(run: Run) -> None:
    mark = f"{uuid.uuid4().hex}-1"
    group = control_group(f"snakepit-{mark}")
    worker = run.worker(b"family", SNAKEPIT_RUN=mark, SNAKEPIT_GROUP=str(group))
    try:
        worker.ready()
        # More than once: the parent of one of them is there for a moment.
        run.until(
            lambda alive: (
                len(alive) == 5
                and {*map(int, (group / "cgroup.procs").read_text().split())}
                == alive - {worker.shim.pid}
            ),
            "the family is in the group, and the shim is not",
        )
        worker.control.close()
        assert worker.shim.wait(BOUND) == 128 + KILL
        assert not group.exists()
    finally:
        if group.exists():
            group.rmdir()


def test_a_worker_whose_go_between_is_killed_is_not_made_a_second_time(run: Run) -> None:
    mark = f"{uuid.uuid4().hex}-1"
    group = control_group(f"snakepit-{mark}")
    # What is put into a frozen group is frozen before it does anything.
    (group / "cgroup.freeze").write_text("1")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(BOUND)
    try:
        with ours:
            shim = run.spawn("worker", theirs, SNAKEPIT_RUN=mark, SNAKEPIT_GROUP=str(group))
            theirs.close()
            members = (group / "cgroup.procs").read_text
            run.until(lambda _: bool(members()), "the go-between")
            os.kill(int(members()), signal.SIGKILL)
            told = ours.recv(1 << 16)
            assert told.startswith(b"Ethis process cannot become a worker: ")
            assert b"killed" in told
            _, errors = shim.communicate(timeout=BOUND)
            assert shim.returncode == 1
            assert "BrokenPipeError" in errors
            assert members() == ""
    finally:
        group.rmdir()


def test_a_group_that_cannot_be_joined_is_not_held_on_to(run: Run, tmp_path: Path) -> None:
    mark = f"{uuid.uuid4().hex}-1"
    folder = tmp_path / f"snakepit-{mark}"
    folder.mkdir()
    worker = run.worker(SNAKEPIT_RUN=mark, SNAKEPIT_GROUP=str(folder))
    worker.ready()
    descriptors = Path(f"/proc/{worker.pid}/fd")
    assert str(folder) not in {os.readlink(descriptor) for descriptor in descriptors.iterdir()}


def control_group(name: str) -> Path:
    """A fresh group beside this process's, or in it."""
    own = [line[3:] for line in Path("/proc/self/cgroup").read_text().split() if line[:3] == "0::"]
    for root in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        group = root / (own or [""])[0].lstrip("/") / name
        with contextlib.suppress(OSError):
            group.mkdir()
            if (group / "cgroup.kill").exists():
                return group
            group.rmdir()
    pytest.skip("no control group can be made here")


def test_a_host_that_ignores_sigchld_learns_how_its_worker_ended(run: Run) -> None:
    host = run.spawn("host", SNAKES_CARELESS="1")
    _, errors = host.communicate(timeout=BOUND)
    assert (host.returncode, errors) == (0, "")


def test_another_program_takes_the_workers_place(run: Run) -> None:
    told = "import socket; s = socket.socket(fileno=0); s.send(b'E' + s.recv(100))"
    worker = run.worker("\n".join(["exec " + sys.executable, "-c", told]).encode())
    worker.control.send(b"Pnot read yet")
    assert worker.control.recv(100) == b"EPnot read yet"
    assert worker.death() == (EXITED, 0)
    assert worker.shim.wait(BOUND) == 0


def test_a_process_that_no_host_started_says_so(run: Run) -> None:
    process = run.spawn("worker")
    _, errors = process.communicate(timeout=BOUND)
    assert process.returncode == 1
    assert "descriptor 0 is not a Snakepit control socket" in errors


def test_a_process_whose_host_is_not_its_parent_ends(run: Run) -> None:
    # As if that had died: its child has another parent then.
    command = [sys.executable, "-S", str(PARTS), "worker"]
    start = f"import subprocess, sys; sys.exit(subprocess.run({command!r}).returncode)"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", start],
            stdin=theirs,
            env={"SNAKES_PROCESS": str(PROCESS)},
            timeout=BOUND,
            check=False,
        )
    assert done.returncode == 70
