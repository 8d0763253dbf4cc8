"""Calls that end in two ways at once: each ends exactly once, and no worker's place is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import snakepit
from snakepit import CallTimeout, Cancelled

from .figures import Figure, exactly, none, shown, spread
from .hosts import FAULTY, gates
from .processes import until


def cancelled(calls: int) -> Iterator[Figure]:
    """Row 11: half of the calls are cancelled at random times, waiting or running."""
    rng = random.Random(11)
    ends: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()
    settled: list[float] = []
    grace = 2.0
    with snakepit.Pool(FAULTY, size=2, grace=grace) as pool:
        pool.await_ready(60)
        for first in range(0, calls, 500):
            batch = range(first, min(calls, first + 500))
            futures = [pool.submit("work", {"seconds": 0.001}) for _ in batch]
            for number, future in zip(batch, futures, strict=True):
                future.add_done_callback(lambda _, number=number: ends.update([number]))
            for future in rng.sample(futures, len(futures) // 2):
                begin = time.monotonic()
                if future.cancel():
                    until(future.done, "a cancelled call has ended")
                    settled.append(1000 * (time.monotonic() - begin))
                if rng.random() < 0.5:
                    time.sleep(rng.random() * 0.002)
            outcomes.update(map(_outcome, futures))
        until(lambda: len(ends) == calls, "all are told")
        yield from _places(pool, ends, outcomes, calls)
    yield Figure("cancelled", outcomes["Cancelled"], least=calls // 8)
    yield none("cancelled calls that said otherwise", len(settled) - outcomes["Cancelled"])
    yield from spread("cancel → settled", settled, 1000 * grace, "ms")


def deadline_race(calls: int, size: int) -> Iterator[Figure]:
    """Row 12: results arrive within a millisecond of the deadline, before or after it."""
    rng = random.Random(12)
    ends: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    with snakepit.Pool(FAULTY, size=size, grace=10) as pool:
        pool.await_ready(60)
        for _ in range(100):  # How long it takes by itself, and so how early the deadline must be.
            pool.execute("work", {"seconds": 0.002})

        def work(numbers: range) -> None:
            for number in numbers:
                limit = max(0.0, 0.0025 + rng.uniform(-0.001, 0.001))
                future = pool.submit("work", {"seconds": 0.002}, timeout=limit)
                future.add_done_callback(lambda _, number=number: _count(lock, ends, number))
                told = _outcome(future)
                with lock:
                    outcomes[told] += 1

        threads = [
            threading.Thread(target=work, args=(range(n, calls, size),)) for n in range(size)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(ends) == calls, "all are told")
        yield from _places(pool, ends, outcomes, calls)
    # The lost place of a worker would show here, too: whoever waits for one is late.
    yield Figure("results in time", outcomes["int"], least=calls // 5, promise="quiet")
    yield Figure("deadlines that passed", outcomes["CallTimeout"], least=1)


def _count(lock: threading.Lock, ends: Counter[int], number: int) -> None:
    with lock:
        ends[number] += 1


def _outcome(future: Any) -> str:
    try:
        return type(future.result(60)).__name__
    except (Cancelled, CallTimeout) as error:
        return type(error).__name__


def _held_at_once(pool: Any) -> set[int]:
    """Who runs as many calls as the pool has workers, none of which ends before all have begun."""
    with gates() as folder:
        started = [folder / str(number) for number in range(pool.size)]
        go = folder / "go"
        held = [pool.submit("wait", {"started": str(it), "go": str(go)}) for it in started]
        until(lambda: all(it.exists() for it in started), "every worker has a call")
        go.touch()
        return {future.result(60) for future in held}


def _places(pool: Any, ends: Counter[int], outcomes: Counter[str], calls: int) -> Iterator[Figure]:
    """Nothing is counted twice, nothing waits or runs any more, and all workers are the first."""
    until(lambda: (pool.stats().queued, pool.stats().running) == (0, 0), "nothing is under way")
    until(lambda: pool.stats().ready == pool.size, "all are ready")
    before = outcomes["int"]
    pids = _held_at_once(pool)
    stats = pool.stats()
    yield shown("calls", calls)
    yield none("calls that ended twice", sum(times > 1 for times in ends.values()))
    yield exactly("calls that ended", len(ends), calls)
    yield none("workers lost", stats.restarts + stats.worker_deaths)
    yield exactly("workers that serve afterwards, all at once", len(pids), pool.size)
    told = stats.completed + stats.cancelled + stats.timeouts + stats.errors
    yield exactly("calls that are counted as ended", told, stats.requests)
    yield none(
        "outcomes of no kind", before + outcomes["Cancelled"] + outcomes["CallTimeout"] - calls
    )
