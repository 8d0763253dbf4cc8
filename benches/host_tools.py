"""A host tool called from inside a call, beside a plain call: one worker, rounds alternate. ::

python benches/host_tools.py
python benches/host_tools.py --rounds 9

A round trip from inside a call should take no more than twice a plain call: the same line, and one
thread of the host more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from snakepit import Pool

CALLS = 2000
BUDGET = 2.0
"""Plain calls that a round trip may take."""


def plain(pool: Pool) -> float:
    """Median of no-op calls one by one, in µs."""
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        pool.execute("noop", {"x": 1})
        times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


def from_inside(pool: Pool, tool: str) -> float:
    """Median of no-op host tools one by one, in µs, as the adapter measures it."""
    times: list[float] = pool.execute(tool, {"calls": CALLS})
    return statistics.median(times) * 1e6


def measure(pool: Pool, rounds: int) -> dict[str, float]:
    """Medians over the rounds, in µs."""
    figures: dict[str, list[float]] = {"plain call": [], "host tool": [], "awaited host tool": []}
    for _ in range(rounds):
        figures["plain call"].append(plain(pool))
        figures["host tool"].append(from_inside(pool, "round_trips"))
        figures["awaited host tool"].append(from_inside(pool, "around_trips"))
    return {name: statistics.median(values) for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with Pool("adapter:BenchAdapter", size=1, pythonpath=[Path(__file__).parent]) as pool:
        pool.await_ready(60)
        without = statistics.median(plain(pool) for _ in range(rounds))
        pool.register_tool("noop", lambda x: {"x": x})
        figures = measure(pool, rounds)
    print(f"plain call, no host tools {without:8.1f} µs")
    for name, value in figures.items():
        print(f"{name:25} {value:8.1f} µs  {value / figures['plain call']:5.2f} × a plain call")
    print(f"budget of a host tool: {BUDGET:.1f} × a plain call")


if __name__ == "__main__":
    main()
