"""The two ends of a worker's line beside each other: native, and grpcio in pure Python.

One worker each, in one run; rounds alternate, so that a drift of the machine hits both. ::

    python benches/ends.py
    python benches/ends.py --rounds 9
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Final, Literal

from snakepit import Pool

ENDS: Final[tuple[Literal["native"], Literal["grpcio"]]] = ("native", "grpcio")
CALLS = 2000
IN_FLIGHT = 64
ITEMS = 50_000


def one_by_one(pool: Pool) -> dict[str, float]:
    """A no-op call at a time, in µs."""
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        pool.execute("noop", {"x": 1})
        times.append((time.perf_counter() - begin) * 1e6)
    times.sort()
    return {"p50 µs": times[CALLS // 2], "p99 µs": times[CALLS * 99 // 100]}


def in_flight(pool: Pool) -> dict[str, float]:
    """No-op calls a second, while so many wait or run."""
    begin = time.perf_counter()
    for _ in range(CALLS // IN_FLIGHT):
        wait([pool.submit("noop", {"x": 1}) for _ in range(IN_FLIGHT)])
    return {"calls/s": CALLS // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - begin)}


def stream(pool: Pool) -> dict[str, float]:
    """Small items a second."""
    begin = time.perf_counter()
    count = sum(1 for _ in pool.execute_stream("items", {"count": ITEMS}))
    return {"items/s": count / (time.perf_counter() - begin)}


MEASURES: list[Callable[[Pool], dict[str, float]]] = [one_by_one, in_flight, stream]


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Every figure of every round, by end and name."""
    here = [Path(__file__).parent]
    pools = {
        end: Pool("adapter:BenchAdapter", size=1, line=end, pythonpath=here, name=end)
        for end in ENDS
    }
    figures: dict[str, dict[str, list[float]]] = {end: {} for end in pools}
    try:
        for pool in pools.values():
            one_by_one(pool)
        for _ in range(rounds):
            for run in MEASURES:
                for end, pool in pools.items():
                    for name, value in run(pool).items():
                        figures[end].setdefault(name, []).append(value)
    finally:
        for pool in pools.values():
            pool.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    figures = measure(parser.parse_args().rounds)
    print(f"{'':10}" + "".join(f"{end:>12}" for end in ENDS))
    for name in figures[ENDS[0]]:
        medians = [statistics.median(figures[end][name]) for end in ENDS]
        print(f"{name:10}" + "".join(f"{median:12,.0f}" for median in medians))


if __name__ == "__main__":
    main()
