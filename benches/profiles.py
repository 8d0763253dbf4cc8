"""What several calls at once in one worker bring: `python benches/profiles.py`.

Two figures, each a median of five with interleaved runs: only ratios within one run count.

- Calls that wait: a 10 ms sleep on 8 threads of one worker, beside one worker of the process
  profile (≥ 7 × the calls/s).
- Calls that compute, on a free-threaded Python only: two at once on two threads of one worker,
  beside one after the other (≥ 1.8 ×, on two idle cores).

Exit code 1 where a figure is missed and ``--strict`` is given.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import snakepit
from snakepit_bridge import ThreadSafeAdapter, thread_safe_method, tool

RUNS = 5
TASK = 0.25
"""Seconds that a call computes."""


class Work(ThreadSafeAdapter):
    @tool
    @thread_safe_method
    def nap(self) -> None:
        time.sleep(0.01)

    @tool
    @thread_safe_method
    def burn(self, rounds: int) -> int:
        value = 1
        for _ in range(rounds):
            value = (value * 1103515245 + 12345) % 2147483648
        return value


def took(callers: int, calls: int, call: Callable[[int], object]) -> float:
    """Seconds for so many calls of so many callers at once."""
    with ThreadPoolExecutor(callers) as threads:
        begin = time.perf_counter()
        list(threads.map(call, range(calls)))
        return time.perf_counter() - begin


def rounds_of(seconds: float) -> int:
    """How much of ``burn`` takes about so long here."""
    work, rounds = Work(), 50_000
    while True:
        begin = time.perf_counter()
        work.burn(rounds)
        if (once := time.perf_counter() - begin) > 0.1:
            return round(rounds * seconds / once)
        rounds *= 2


def waiting() -> float:
    """Calls/s of eight threads in one worker, by those of one process."""
    with (
        snakepit.Pool(Work, size=1, name="process") as alone,
        snakepit.Pool(Work, size=1, name="threads", profile="thread", threads_per_worker=8) as many,
    ):
        for pool in (alone, many):
            pool.await_ready(60)
        ratios = [
            (160 / took(8, 160, lambda _: many.execute("nap")))
            / (40 / took(1, 40, lambda _: alone.execute("nap")))
            for _ in range(RUNS)
        ]
    return statistics.median(ratios)


def computing() -> float:
    """Two calls one after the other, by two at once."""
    with snakepit.Pool(Work, size=1, profile="thread", threads_per_worker=2) as pool:
        pool.await_ready(60)
        task = {"rounds": rounds_of(TASK)}
        took(2, 4, lambda _: pool.execute("burn", task))
        ratios = [
            took(1, 2, lambda _: pool.execute("burn", task))
            / took(2, 2, lambda _: pool.execute("burn", task))
            for _ in range(RUNS)
        ]
    return statistics.median(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strict", action="store_true")
    strict = parser.parse_args().strict
    figures = [("waiting, 8 threads of a worker beside a process", waiting(), 7.0)]
    if "t" in sys.abiflags:
        figures.append(("computing, 2 threads of a worker beside one", computing(), 1.8))
    else:
        print(f"{Path(sys.executable).name} has a GIL: no figure of calls that compute")
    for what, figure, limit in figures:
        print(f"{what}: {figure:.2f} x (at least {limit}): {'ok' if figure >= limit else 'MISSED'}")
    return int(strict and any(figure < limit for _, figure, limit in figures))


if __name__ == "__main__":
    sys.exit(main())
