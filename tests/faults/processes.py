"""Which processes, descriptors and files are ours, and when a process ends, to the microsecond."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import control_groups

# In the environment of whatever is started here, directly or through workers. A name with
# SNAKEPIT_ would not pass.
MARK = os.environ.setdefault("FAULTS_OF_THIS_RUN", uuid.uuid4().hex)
VARIABLE = f"FAULTS_OF_THIS_RUN={MARK}".encode()


class NotHereError(Exception):
    """This fault cannot be injected on this machine; the text says why."""


class InVainError(Exception):
    """Something that was waited for did not happen."""


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> float:
    """Wait until ``condition`` holds; seconds that it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise InVainError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.002)
    return time.monotonic() - begin


def marked(value: bytes = VARIABLE) -> list[int]:
    """Every living process with this in its environment, but for this one."""
    found = []
    for process in os.listdir("/proc"):
        if not process.isdigit() or int(process) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # Another user's, or it has ended meanwhile.
            if value in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                found.append(int(process))
    return found


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def is_alive(pid: int) -> bool:
    """False of a zombie, too."""
    try:
        return _stat(pid)[0] not in "ZX"
    except OSError:
        return False


def zombies() -> int:
    """Children of this process that it has not reaped."""
    count = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, above = _stat(int(process))[:2]
            count += state == "Z" and int(above) == os.getpid()
    return count


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used so far, with the children that they have reaped."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` behind the program's name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Deaths:
    """Waits for the ends of some processes, each told by the kernel (``pidfd_open``)."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._open: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._open[os.pidfd_open(pid)] = pid

    def kill(self, pid: int, by: signal.Signals = signal.SIGKILL) -> float:
        """Send a signal to one of them, and only to that one; when, on the monotonic clock."""
        handle = next(handle for handle, each in self._open.items() if each == pid)
        begin = time.monotonic()
        signal.pidfd_send_signal(handle, by)
        return begin

    def wait(self, since: float, seconds: float = 30.0) -> dict[int, float]:
        """Seconds from ``since`` to the end of each that has ended within ``seconds``."""
        poll = select.poll()
        waiting = dict(self._open)
        for handle in waiting:
            poll.register(handle, select.POLLIN)
        ended: dict[int, float] = {}
        while waiting and (left := since + seconds - time.monotonic()) > 0:
            for handle, _ in poll.poll(left * 1000):
                ended[waiting.pop(handle)] = time.monotonic() - since
                poll.unregister(handle)
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What this process holds, and what it has put into folders that everybody uses."""

    descriptors: int
    threads: int
    zombies: int
    run_files: int
    shared_memory: int
    control_groups: int

    def within(self, other: Holdings) -> bool:
        """Whether nothing is more than it was in the other one."""
        return all(getattr(self, what) <= getattr(other, what) for what in self.__slots__)

    @classmethod
    def now(cls) -> Holdings:
        return cls(
            descriptors=len(os.listdir("/proc/self/fd")),
            threads=len(os.listdir("/proc/self/task")),
            zombies=zombies(),
            run_files=len(run_files()),
            shared_memory=len(shared_memory()),
            control_groups=len(control_groups.of_workers()),
        )

    @classmethod
    def settled(cls, still: float = 0.5, seconds: float = 15.0) -> Self:
        """What it holds once that has not changed for ``still`` seconds: what comes and goes must
        not be taken for what was there before. After ``seconds`` it is taken as it is."""
        begin = since = time.monotonic()
        last = cls.now()
        while (now := time.monotonic()) - since < still and now - begin < seconds:
            time.sleep(0.02)
            if (seen := cls.now()) != last:
                last, since = seen, time.monotonic()
        return last

    def more_than(self, before: Holdings) -> dict[str, int]:
        """By how much each is more than it was; what is less than before hides nothing."""
        return {
            what: max(0, getattr(self, what) - getattr(before, what)) for what in self.__slots__
        }


def shared_memory() -> list[str]:
    """Names in ``/dev/shm``, but for semaphores: those are multiprocessing's, and others' tests
    on this machine have some."""
    return [name for name in os.listdir("/dev/shm") if not name.startswith("sem.")]


def run_files() -> list[str]:
    """Whatever lies in run folders, those of other hosts included."""
    above = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    found = []
    with contextlib.suppress(OSError):
        for folder in Path(above).glob("snakepit-*"):
            found += [str(file) for file in folder.rglob("*")]
    return found


def resident_bytes(pid: int | str = "self") -> int:
    """Memory of a process that is in RAM and its own."""
    fields = Path(f"/proc/{pid}/status").read_text().split("RssAnon:")[1].split()
    return int(fields[0]) * 1024
