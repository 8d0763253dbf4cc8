"""Tools that do not stop, and workers that do not answer: what a deadline does to them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import snakepit
from snakepit import CallTimeout, Heartbeat

from .figures import Figure, exactly, none, shown, spread
from .hosts import FAULTY, gates
from .processes import Deaths, until

FREED = "deadline → caller freed"
STOPPED = "deadline → worker gone, beyond the grace"


def worker_stopped(rounds: int, heartbeat: dict[str, float], detected: float) -> Iterator[Figure]:
    """Row 8: SIGSTOP of a worker that has a call. It counts as stalled, the pool serves on with
    the other one, and the call's deadline still kills it, though no signal but SIGKILL can."""
    grace, deadline = 0.3, detected + 1
    seen: list[float] = []
    freed: list[float] = []
    gone: list[float] = []
    answers = 0
    with (
        gates() as folder,
        snakepit.Pool(FAULTY, size=2, heartbeat=Heartbeat(**heartbeat), grace=grace) as pool,
    ):
        for number in range(rounds):
            pool.await_ready(60)
            started = str(folder / str(number))
            with _Call(pool, "hold", deadline, started=started) as call, Deaths([call.pid]) as dead:
                os.kill(call.pid, signal.SIGSTOP)
                since = time.monotonic()
                until(lambda: pool.stats().ready == 1, "it is stalled")
                seen.append(time.monotonic() - since)
                answers += sum(pool.execute("pid", timeout=5) != call.pid for _ in range(10))
                freed.append(call.overtime())
                gone += dead.wait(call.ends, seconds=30).values()
    yield shown("rounds", rounds)
    yield exactly("calls that others answered meanwhile", answers, 10 * rounds)
    yield from spread("SIGSTOP → stalled", seen, detected, "s")
    yield from spread(FREED, freed, 50, "ms")
    yield exactly("workers gone", len(gone), rounds)
    yield from spread(STOPPED, [each - grace for each in gone], 1, "s")


def interpreter_held(rounds: int, seconds: float, longest: float) -> Iterator[Figure]:
    """Row 9: C code holds the interpreter's lock. Nobody is killed for that; a deadline does."""
    beat = Heartbeat(interval=0.05, timeout=0.2)
    stalled, wrong = 0, 0
    with snakepit.Pool(FAULTY, size=4, heartbeat=beat, grace=0.3) as pool:
        pool.await_ready(60)
        homes = {worker.pid for worker in pool.list_workers()}
        lengths = [longest, *[seconds] * (rounds - 1)]
        calls = [
            pool.submit("hold_the_interpreter", {"seconds": each}, timeout=None) for each in lengths
        ]
        while not all(call.done() for call in calls):
            stalled = max(stalled, sum(w.state == "stalled" for w in pool.list_workers()))
            time.sleep(0.01)
        wrong += sum(call.result() not in homes for call in calls)
        killed = pool.stats().restarts
    yield shown("held so often", rounds)
    yield shown("longest", longest, "s")
    yield Figure("stalled at once, at most", stalled, least=1)
    yield none("workers killed for it", killed)
    yield none("calls that lost their worker", wrong)
    yield from _deadlines(["hold_the_interpreter"], rounds=max(2, rounds // 10))


def signals_ignored(rounds: int) -> Iterator[Figure]:
    """Row 10: a tool that is busy, one that ignores SIGTERM, and one that blocks all signals."""
    yield from _deadlines(["burn", "ignore_sigterm", "block_all_signals"], rounds)


def _deadlines(tools: list[str], rounds: int) -> Iterator[Figure]:
    """When the caller is freed, and when the worker is gone, by the kernel."""
    grace, deadline = 0.3, 0.3
    freed: list[float] = []
    gone: list[float] = []
    with gates() as folder, snakepit.Pool(FAULTY, size=2, grace=grace) as pool:
        pool.await_ready(60)

        def one(number: int) -> None:
            started = str(folder / str(number))
            with (
                _Call(pool, tools[number % len(tools)], deadline, started=started) as call,
                Deaths([call.pid]) as deaths,
            ):
                freed.append(call.overtime())
                gone.extend(deaths.wait(call.ends, seconds=30).values())

        with ThreadPoolExecutor(2) as callers:
            list(callers.map(one, range(rounds * len(tools))))
    yield shown("deadlines", len(freed))
    yield from spread(FREED, freed, 50, "ms")
    yield exactly("workers gone", len(gone), rounds * len(tools))
    yield from spread(STOPPED, [each - grace for each in gone], 1, "s")


class _Call:
    """A call in a session of its own, whose home is known before it begins."""

    def __init__(self, pool: Any, tool: str, deadline: float, started: str) -> None:
        session = pool.session(os.path.basename(started))
        self.pid = session.execute("pid", timeout=60)
        self._deadline = deadline
        self._freed = 0.0
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(session, tool, started))
        self._thread.start()
        self._begun.wait()
        until(lambda: os.path.exists(started) or not self._thread.is_alive(), "it runs")

    def _run(self, session: Any, tool: str, started: str) -> None:
        self.ends = time.monotonic() + self._deadline
        self._begun.set()
        with contextlib.suppress(CallTimeout):
            session.execute(tool, {"started": started}, timeout=self._deadline)
        self._freed = time.monotonic()

    def overtime(self) -> float:
        """Milliseconds after its deadline in which its caller went on."""
        self._thread.join()
        return 1000 * (self._freed - self.ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
