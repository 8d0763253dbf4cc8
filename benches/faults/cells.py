"""What is done to a contender, and what is seen. Each cell runs in a process of its own.

::

    python -m faults.cells CONTENDER CELL DIRECTORY       (from benches/)

writes a ``Seen`` into ``DIRECTORY/seen.json``. Nothing here is specific to one contender.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .rivals import RIVALS, Handle, Rival, in_background
from .tasks import broken_initializer

PATIENCE = 5.0
"""Seconds after which a caller has not been told, or a worker not been ended."""
LIMIT = 1.0
"""The limit of a call that does not end, in seconds."""
LATE = 1.0
"""Seconds beyond the limit after which its caller must be free."""
BYSTANDERS = 5


class Seen(NamedTuple):
    """Outcome of one cell."""

    won: bool
    text: str
    figures: dict[str, Any]


class Stage:
    """A started contender, and a folder in which tasks say who runs them."""

    def __init__(self, contender: str, directory: Path) -> None:
        self.name = contender
        self.rival: Rival = RIVALS[contender]()
        self.directory = directory

    def start(self) -> None:
        """Start it; every worker has answered."""
        self.rival.start()
        first = [self.rival.submit("brief") for _ in range(2)]
        for handle in first:
            handle.result(60)

    def run(self, task: str, timeout: float | None = None) -> tuple[Handle, int]:
        """Start a task and wait until a worker runs it: the call, and who that is."""
        path = self.directory / f"{task}-{time.monotonic_ns()}"
        handle = self.rival.submit(task, str(path), timeout)
        end = time.monotonic() + 30
        while not path.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"{task} does not begin")
            time.sleep(0.001)
        return handle, int(path.read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def told(handle: Handle, patience: float = PATIENCE) -> BaseException | str | None:
    """The error that a caller gets; "a value"; ``None``: nothing within ``patience``."""
    before = time.monotonic()
    try:
        handle.result(patience)
    except TimeoutError as error:
        return None if time.monotonic() - before >= patience - 0.05 else error
    except BaseException as error:
        return error
    return "a value"


KILLED = r"sigkill|\bsignal 9\b|(?<![\w.])-9\b|\bkill(ed)?\b"
SEGFAULT = r"sigsegv|\bsignal 11\b|(?<![\w.])-11\b|\bsegmentation\b"
EXIT_3 = r"\b(exit|exited|exitcode|code|status)[\W_]{1,3}3\b"


def names_the_cause(error: object, pattern: str) -> bool:
    """Whether an error says how the worker ended, in its text or as its ``exitcode``."""
    text = f"{error} exitcode={getattr(error, 'exitcode', None)}".lower()
    return re.search(pattern, text) is not None


def death(stage: Stage, task: str, kill: bool, pattern: str) -> Seen:
    """A worker dies with one call, while another one runs and four wait."""
    stage.start()
    victim, pid = stage.run(task)
    others = [stage.run("brief")[0]]
    others += [stage.rival.submit("quick") for _ in range(BYSTANDERS - 1)]
    if kill:
        os.kill(pid, signal.SIGKILL)
    while alive(pid):
        time.sleep(0.0005)
    before = time.monotonic()
    error = told(victim)
    ms = (time.monotonic() - before) * 1000
    end = time.monotonic() + 2 * PATIENCE
    failed = sum(told(other, max(0.1, end - time.monotonic())) != "a value" for other in others)
    cause = names_the_cause(error, pattern)
    harm = f"{failed} of {BYSTANDERS} bystanders fail"
    if not isinstance(error, BaseException):
        return Seen(False, f"{harm}; the victim is never told", {"failed": failed, "ms": None})
    how = f"{type(error).__name__}, {'with' if cause else 'without'} the cause"
    return Seen(
        failed == 0 and cause and ms <= 1000,
        f"{harm}; told after {ms:.0f} ms ({how})",
        {"failed": failed, "ms": round(ms, 1), "error": type(error).__name__, "cause": cause},
    )


def worker_killed(stage: Stage) -> Seen:
    return death(stage, "hold", True, KILLED)


def worker_segfault(stage: Stage) -> Seen:
    return death(stage, "segfault", False, SEGFAULT)


def worker_exit(stage: Stage) -> Seen:
    return death(stage, "leave", False, EXIT_3)


def limited(stage: Stage, task: str) -> Seen:
    """A call has a limit of a second and does not end by itself."""
    stage.start()
    handle, pid = stage.run(task, LIMIT)
    before = time.monotonic()
    error = told(handle, LIMIT + PATIENCE)
    caller = time.monotonic() - before
    while alive(pid) and time.monotonic() - before < LIMIT + PATIENCE:
        time.sleep(0.005)
    took = time.monotonic() - before
    free = f"caller free after {caller:.1f} s" if error is not None else "no limit per call"
    figures = {"caller_s": round(caller, 2) if error is not None else None}
    if alive(pid):
        return Seen(False, f"{free}; the worker runs on", {**figures, "worker_s": None})
    won = isinstance(error, BaseException) and caller <= LIMIT + LATE
    return Seen(
        won, f"{free}, worker ended after {took:.1f} s", {**figures, "worker_s": round(took, 2)}
    )


def gil_limit(stage: Stage) -> Seen:
    return limited(stage, "hold_gil")


def sigterm_limit(stage: Stage) -> Seen:
    return limited(stage, "ignore_sigterm")


def cancel(stage: Stage) -> Seen:
    """The caller gives up a call that runs."""
    stage.start()
    handle, pid = stage.run("hold")
    before = time.monotonic()
    try:
        stage.rival.cancel(handle)
    except NotImplementedError:
        return Seen(False, "there is no cancel", {"worker_s": None})
    while alive(pid) and time.monotonic() - before < PATIENCE:
        time.sleep(0.005)
    took = time.monotonic() - before
    if alive(pid):
        return Seen(False, "the task runs on", {"worker_s": None})
    return Seen(True, f"worker ended after {took:.1f} s", {"worker_s": round(took, 2)})


def leak(stage: Stage) -> Seen:
    """Each call leaks 16 MiB; workers are replaced. No call may fail, and memory must be seen:
    640 MiB a worker, where loky with psutil begins at 300."""
    stage.rival.start(recycle=True)
    calls = 80
    ran = stage.rival.leak(calls, PATIENCE)
    workers, failed = {*ran} - {None}, ran.count(None)
    how = "by memory" if stage.rival.by_memory else "by a count of calls"
    if len(workers) <= 2:
        return Seen(False, f"{failed} of {calls} calls fail; no worker is replaced", {})
    return Seen(
        failed == 0 and stage.rival.by_memory,
        f"{failed} of {calls} calls fail; {len(workers)} workers, {how}",
        {"failed": failed, "workers": len(workers)},
    )


def odd(stage: Stage, task: str) -> Seen:
    """A result, or an exception, that cannot travel."""
    stage.start()
    before = time.monotonic()
    error = told(stage.rival.submit(task))
    ms = (time.monotonic() - before) * 1000
    try:
        after = told(stage.rival.submit("quick"))
    except Exception as refused:
        after = refused
    usable = "the pool serves on" if after == "a value" else "the pool is of no more use"
    if not isinstance(error, BaseException):
        return Seen(False, f"never told; {usable}", {"ms": None, "usable": after == "a value"})
    return Seen(
        after == "a value",
        f"{type(error).__name__} after {ms:.0f} ms; {usable}",
        {"ms": round(ms, 1), "error": type(error).__name__, "usable": after == "a value"},
    )


def unpicklable_result(stage: Stage) -> Seen:
    return odd(stage, "unpicklable")


def unpicklable_exception(stage: Stage) -> Seen:
    return odd(stage, "unspeakable")


def initializer(stage: Stage) -> Seen:
    """Every worker's initialization raises."""
    stage.rival.start(broken_initializer)
    before = time.monotonic()
    try:
        error = told(stage.rival.submit("quick"), 2 * PATIENCE)
    except BaseException as raised:
        error = raised
    took = time.monotonic() - before
    if not isinstance(error, BaseException):
        return Seen(False, "hangs" if error is None else "not told: it answers", {"s": None})
    reason = "no model here" in f"{error} {error.__cause__}"
    how = f"{type(error).__name__}, {'with' if reason else 'without'} the reason"
    return Seen(reason, f"told after {took:.1f} s ({how})", {"s": round(took, 2)})


def close_busy(stage: Stage) -> Seen:
    """Closed at once, while both workers are busy for a minute."""
    stage.start()
    pids = [stage.run("hold")[1] for _ in range(2)]
    before = time.monotonic()
    done = in_background(stage.rival.close)
    back = done.wait(2 * PATIENCE)
    took = time.monotonic() - before
    time.sleep(0.2)
    left = sum(map(alive, pids))
    if not back:
        return Seen(False, f"waits for its tasks; {left} of 2 workers alive", {"s": None})
    text = f"back after {took:.1f} s; {left} of 2 workers alive"
    return Seen(left == 0, text, {"s": round(took, 2), "alive": left})


def host(stage: Stage, task: str) -> tuple[subprocess.Popen[str], str]:
    """A program of its own with a busy pool; and the mark of all that it starts."""
    mark = f"{stage.name}-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "faults.hosts", stage.name, task, str(stage.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "FAULTS_HOST": mark},
    )
    assert process.stdout is not None
    if process.stdout.readline() != "busy\n":
        raise RuntimeError("the host does not start")
    return process, mark


def of_host(mark: str) -> dict[int, str]:
    """The live processes of a host, and what each of them is."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"FAULTS_HOST={mark}".encode() in environment:
            kinds = [each[12:].decode() for each in environment if each.startswith(b"FAULTS_KIND=")]
            found[int(process.name)] = kinds[-1] if kinds else "worker"
    return found


def host_killed(stage: Stage) -> Seen:
    """SIGKILL of the host; its workers hold the GIL and have children of three kinds."""
    process, mark = host(stage, "family")
    workers = set(map(int, (stage.directory / "workers").read_text().split()))
    kinds = ("plain", "session", "double_fork")
    patience = time.monotonic() + PATIENCE
    before = of_host(mark)
    while sum(each in kinds for each in before.values()) < 2 * len(kinds):
        if time.monotonic() > patience:  # A shell has forked, and its child is no program yet.
            raise RuntimeError(f"not every child has started: {before}")
        time.sleep(0.01)
        before = of_host(mark)
    process.kill()
    killed = time.monotonic()
    gone = None
    while time.monotonic() - killed < 2.0:
        if gone is None and not of_host(mark):
            gone = time.monotonic() - killed
            break
        time.sleep(0.002)
    left = of_host(mark)
    counts = {"workers": (sum(pid in left for pid in workers), len(workers))}
    for kind in kinds:
        total = [pid for pid, each in before.items() if each == kind]
        counts[kind] = (sum(pid in left for pid in total), len(total))
    text = ", ".join(f"{alive}/{total} {kind}" for kind, (alive, total) in counts.items())
    if gone is not None:
        return Seen(True, f"all gone after {gone * 1000:.0f} ms", {"ms": round(gone * 1000, 1)})
    return Seen(False, f"alive after 2 s: {text}", {"ms": None, "alive": counts})


def ctrl_c(stage: Stage) -> Seen:
    """SIGINT to the terminal's whole group; both workers are busy for a minute."""
    process, mark = host(stage, "hold")
    before = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    while process.poll() is None and time.monotonic() - before < PATIENCE:
        time.sleep(0.005)
    took = time.monotonic() - before
    time.sleep(0.5)
    left = len([pid for pid in of_host(mark) if pid != process.pid])
    if process.poll() is None:
        return Seen(False, f"the host lives on, with {left} processes", {"s": None, "left": left})
    text = f"host ended after {took:.1f} s, {left} processes left"
    return Seen(left == 0, text, {"s": round(took, 2), "left": left})


CELLS: dict[str, tuple[str, Callable[[Stage], Seen]]] = {
    "worker_killed": ("a worker is SIGKILLed in a call, five bystanders", worker_killed),
    "worker_segfault": ("a worker segfaults, five bystanders", worker_segfault),
    "worker_exit": ("a tool calls `os._exit(3)`, five bystanders", worker_exit),
    "gil_limit": ("limit of 1 s, the task holds the GIL in C", gil_limit),
    "sigterm_limit": ("limit of 1 s, the task ignores SIGTERM", sigterm_limit),
    "cancel": ("cancel of a running call", cancel),
    "host_killed": ("host SIGKILLed, GIL held, children of three kinds", host_killed),
    "leak": ("workers leak 16 MiB a call and are recycled by memory", leak),
    "unpicklable_result": ("a result that cannot travel", unpicklable_result),
    "unpicklable_exception": ("an exception that cannot be unpickled", unpicklable_exception),
    "initializer": ("the initializer raises", initializer),
    "ctrl_c": ("Ctrl-C, workers busy", ctrl_c),
    "close_busy": ("closed at once, workers busy", close_busy),
}

TIMELESS = {"leak"}
"""Cells that measure no time, so that others may run beside them."""


def main() -> None:
    contender, cell, directory = sys.argv[1:]
    seen = CELLS[cell][1](Stage(contender, Path(directory)))
    (Path(directory) / "seen.json").write_text(json.dumps(seen._asdict()))
    # What a contender still runs at exit is not asked here.
    os._exit(0)


if __name__ == "__main__":
    main()
