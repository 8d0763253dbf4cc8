"""Faults of a worker: it is killed, crashes, or has no memory left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import snakepit
from snakepit import WorkerDied

from .figures import Figure, exactly, none, shown, spread
from .hosts import FAULTY, Host, gates
from .processes import Deaths, Holdings, InVainError, NotHereError, resident_bytes, until


def killed_under_load(seconds: float, a_second: float, size: int = 4) -> Iterator[Figure]:
    """Row 5: somebody kills workers that have calls; each kill fails one call, and no other."""
    with snakepit.Pool(FAULTY, size=size, timeout=60) as pool:
        pool.await_ready(60)
        load = Load(pool, callers=2 * size)
        with load:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                begin = time.monotonic()
                load.kill_one()
                time.sleep(max(0.0, begin + 1 / a_second - time.monotonic()))
            until(lambda: pool.stats().ready == size, "all slots are filled")
        deaths, ready = pool.stats().worker_deaths, pool.stats().ready
    yield shown("workers killed", len(load.killed))
    yield exactly("workers whose death was noticed", deaths, len(load.killed))
    yield Figure("calls that were answered", load.answered, least=1)
    yield none("bystanders harmed", len(load.harmed))
    yield Figure("calls that failed", len(load.told), most=len(load.killed))
    yield none("failed calls with another cause", load.wrong_causes)
    yield exactly("workers ready at the end", ready, size)
    yield from spread("worker death → typed error", load.told, 100, "ms")


class Load:
    """Callers that go on calling, whatever happens to workers, and who is harmed by it."""

    def __init__(self, pool: Any, callers: int) -> None:
        self._pool = pool
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]
        self.killed: dict[Any, float] = {}
        self.answered = 0
        self.told: list[float] = []
        self.harmed: list[BaseException] = []
        self.wrong_causes = 0

    def kill_one(self) -> None:
        """Kill a worker that has a call."""
        busy = [w for w in self._pool.list_workers() if w.state == "busy" and w.pid]
        fresh = [worker for worker in busy if worker.ref not in self.killed]
        if not fresh:
            return
        worker = random.choice(fresh)
        with contextlib.suppress(ProcessLookupError), Deaths([worker.pid]) as deaths:
            # It may be another process by now; then this handle is not that of the worker.
            if any(now.ref == worker.ref for now in self._pool.list_workers()):
                self.killed[worker.ref] = time.monotonic()
                deaths.kill(worker.pid)

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                self._pool.execute("work", {"seconds": 0.02})
                self.answered += 1
            except WorkerDied as error:
                now = time.monotonic()
                if error.worker in self.killed:
                    self.told.append(1000 * (now - self.killed[error.worker]))
                    self.wrong_causes += error.cause != "signal_9"
                else:
                    self.harmed.append(error)
            except Exception as error:
                self.harmed.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def crashed(rounds: int) -> Iterator[Figure]:
    """Row 6: a read at address zero; the error has the signal, and where Python was."""
    right, with_stack = 0, 0
    with snakepit.Pool(FAULTY, size=1, worker_output="drop") as pool:
        for _ in range(rounds):
            pool.execute("pid", timeout=60)
            try:
                pool.execute("read_address_zero")
            except WorkerDied as error:
                right += (error.signal, error.cause) == ("SIGSEGV", "signal_11")
                with_stack += "in read_address_zero" in (error.stack or "")
    yield exactly("crashes told as SIGSEGV", right, rounds)
    yield exactly("crashes with a Python stack", with_stack, rounds)


def out_of_memory(rounds: int) -> Iterator[Figure]:
    """Row 7: the kernel kills a worker for want of memory; another one meets a limit that Python
    notices, and lives; a third is killed by somebody in the same group, which is no want."""
    with (
        gates() as folder,
        memory_group() as group,
        Host("starves", group=str(group), folder=str(folder), rounds=rounds) as host,
    ):
        labels = host.hear()
        host.end()
    yield exactly("kernel's kills told as oom", labels.get("oom", 0), rounds)
    yield exactly("kills by somebody told as SIGKILL", labels.get("signal_9", 0), rounds)
    yield exactly("MemoryErrors whose worker lives", labels.get("memory_error", 0), rounds)


@contextlib.contextmanager
def memory_group(limit: int = 96 << 20) -> Iterator[Path]:
    """A control group for memory, of version 1 or 2."""
    if os.geteuid() != 0:
        raise NotHereError("only root may make a control group")
    for root, file in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"faults-of-memory-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            if (group / file).exists():
                break
            group.rmdir()
    else:
        raise NotHereError("no control group for memory can be made here")
    try:
        (group / file).write_text(str(limit))
        with contextlib.suppress(OSError):  # Else it swaps, where there is swap.
            (group / "memory.swap.max").write_text("0")
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()


def spawned_and_killed(cycles: int, size: int) -> Iterator[Figure]:
    """Row 17: start a worker, use it, kill it, again and again; nothing stays behind."""
    with snakepit.Pool(FAULTY, size=size, worker_output="drop") as pool:
        _cycle(pool, 2 * size)
        # Not while the last of them is still being replaced: what that holds for a moment would
        # pass for what is held always.
        before, memory = Holdings.settled(), resident_bytes()
        begin = time.monotonic()
        _cycle(pool, cycles)
        took = time.monotonic() - begin
        with contextlib.suppress(InVainError):  # Then the figures tell it.
            # A thread that measured memory for the pool ends when it was idle for 10 s.
            until(lambda: Holdings.now().within(before), "back to what it was", 15)
        more, grown = Holdings.now().more_than(before), resident_bytes() - memory
        deaths = pool.stats().worker_deaths
    yield Figure("workers killed", deaths, least=cycles)
    yield shown("a cycle", 1000 * took / cycles, "ms")
    for what, count in more.items():
        yield none(f"{what.replace('_', ' ')}, more than before", count)
    yield Figure("memory of the host, more than before", grown / (1 << 20), "MiB", most=16)


def _cycle(pool: Any, cycles: int) -> None:
    """Kill each worker once it has answered: those that never did are counted as failed starts."""
    killed: set[Any] = set()
    while len(killed) < cycles:
        pool.execute("pid", timeout=60)
        for worker in pool.list_workers():
            serves = worker.state in ("ready", "busy") and worker.calls
            if serves and worker.pid and worker.ref not in killed:
                killed.add(worker.ref)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: pool.stats().ready == pool.size, "all slots are filled")


def session_lost(rounds: int) -> Iterator[Figure]:
    """Row 21: the home of a session dies. A strict one is told, always; a hint moves on."""
    told, moved, anew = 0, 0, 0
    with snakepit.Pool(FAULTY, size=2) as pool:
        pool.await_ready(60)
        for number in range(rounds):
            strict = pool.session(f"strict-{number}")
            hint = pool.session(f"hint-{number}", affinity="hint")
            for session in (strict, hint):
                _, home = session.execute("note")
                session.execute("note")
                with Deaths([home]) as deaths:
                    deaths.wait(deaths.kill(home))
                deaths_so_far = 2 * number + 1 + (session is hint)
                until(lambda n=deaths_so_far: pool.stats().worker_deaths >= n, "it is noticed")
            for _ in range(2):  # A lost session stays lost.
                try:
                    strict.execute("note")
                except snakepit.SessionLost:
                    told += 1
            moved += hint.execute("note", timeout=60)[0] == 0
            anew += pool.session(f"strict-{number}").execute("note", timeout=60)[0] == 0
    yield exactly("calls of strict sessions that were told", told, 2 * rounds)
    yield exactly("hints that moved on", moved, rounds)
    yield exactly("strict sessions that were bound anew by their id", anew, rounds)
