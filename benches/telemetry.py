"""What telemetry costs: with nobody attached, and with a handler of everything, in one run.

Only ratios mean something on a shared machine: both are measured in turns, in this process, and
each figure is a median over the turns. ::

    python benches/telemetry.py
    python benches/telemetry.py --turns 31 --record benches/results
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import report
import snakepit
from snakepit import telemetry
from snakepit_bridge import BaseAdapter, tool

IN_FLIGHT = 64
TARGETS = {
    "one at a time: p50 with a handler of everything, of that without": ("≤", 1.1),
    "64 in flight: throughput with a handler of everything, of that without": ("≥", 0.9),
    "one at a time: p50 with a handler of other events, of that without": ("≤", 1.02),
}


class Worker(BaseAdapter):
    """What is called."""

    @tool
    def noop(self, x: int) -> int:
        return x


def one_at_a_time(pool: snakepit.Pool, calls: int) -> float:
    """Seconds that half of the calls take at most."""
    took = []
    for x in range(calls):
        begin = time.perf_counter()
        pool.execute("noop", {"x": x})
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def in_flight(pool: snakepit.Pool, calls: int) -> float:
    """Seconds for one call and its events, where so many are under way."""
    begin = time.perf_counter()
    window: deque[snakepit.Future] = deque()
    for x in range(calls):
        if len(window) == IN_FLIGHT:
            window.popleft().result()
        window.append(pool.submit("noop", {"x": x}))
    while window:
        window.popleft().result()
    telemetry.flush(60)
    return (time.perf_counter() - begin) / calls


class Handler:
    """What is attached; it counts, as a cheap one would."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self, event: str, measurements: Any, metadata: Any) -> None:
        self.events += 1


def compare(
    pool: snakepit.Pool,
    measure: Callable[[snakepit.Pool, int], float],
    pattern: str,
    turns: int,
    calls: int,
) -> tuple[float, float, float, float]:
    """Medians without and with a handler, of the ratios within one turn, and of those of the host's
    processor time for one call, handlers included.
    """
    handler = Handler()
    without, attached = list[tuple[float, float]](), list[tuple[float, float]]()

    def measured() -> tuple[float, float]:
        begin = time.process_time()
        took = measure(pool, calls)
        telemetry.flush(60)
        return took, time.process_time() - begin

    for turn in range(turns + 2):
        for is_heard in (turn % 2 == 0, turn % 2 == 1):
            if is_heard:
                telemetry.attach("bench", pattern, handler)
            (attached if is_heard else without).append(measured())
            telemetry.detach("bench")
    # The first turns warm up.
    pairs = [*zip(attached, without, strict=True)][2:]
    ratios = [on[0] / off[0] for on, off in pairs]
    times = [on[1] / off[1] for on, off in pairs]
    if pattern == "*":
        telemetry.flush(60)
        told = handler.events + telemetry.dropped()
        assert told >= 2 * calls * turns, f"{told} events of {calls * (turns + 2)} calls"
    off, on = (statistics.median(took for took, _ in each[2:]) for each in (without, attached))
    return off, on, statistics.median(ratios), statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what telemetry costs.")
    parser.add_argument("--turns", type=int, default=31)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write telemetry.json, .md")
    options = parser.parse_args()
    found: dict[str, float] = {}
    with snakepit.Pool(Worker, size=2) as pool:
        pool.await_ready(60)
        for name, measure, pattern, what in (
            ("one at a time: p50", one_at_a_time, "*", "everything"),
            ("64 in flight: time", in_flight, "*", "everything"),
            ("one at a time: p50", one_at_a_time, "snakepit.pool.*", "other events"),
        ):
            turns, calls = options.turns, options.calls
            if measure is in_flight:
                # What else runs on the machine changes it from one tenth of a second to the next.
                turns, calls = turns * 5, calls * 3
            figures = compare(pool, measure, pattern, turns, calls)
            off, on, ratio, processor = figures
            unit = name if what == "everything" else f"{name} (other events)"
            found[f"{unit} without, µs"] = off * 1e6
            found[f"{unit} with, µs"] = on * 1e6
            if measure is in_flight:
                what_of = f"64 in flight: throughput with a handler of {what}, of that without"
                found[what_of] = 1 / ratio
            else:
                found[f"{name} with a handler of {what}, of that without"] = ratio
            found[f"{name.split(':')[0]}: host CPU with a handler of {what}, of that without"] = (
                processor
            )
    found["events dropped"] = telemetry.dropped()
    for name, figure in found.items():
        print(f"{figure:>12.4g}  {name}")
    if options.record:
        record = {"machine": report.machine(), "figures": found}
        (options.record / "telemetry.json").write_text(json.dumps(record, indent=1) + "\n")
        (options.record / "telemetry.md").write_text("\n".join(markdown(record)) + "\n")
    return 0


def markdown(record: dict[str, Any]) -> Iterator[str]:
    """The record for people."""
    where = record["machine"]
    yield "# Telemetry"
    yield ""
    yield "Made by `make bench-telemetry`; `benches/telemetry.py` says how each figure is measured."
    yield ""
    yield (
        f"{where['date']}, {where['cpus']} cores of {where['cpu']}, Python {where['python']}, "
        f"Linux {where['kernel']}; two workers."
    )
    yield ""
    yield "| figure | measured | target | |"
    yield "|---|---:|---:|---|"
    for name, value in record["figures"].items():
        target = met = ""
        if name in TARGETS:
            side, bound = TARGETS[name]
            target = f"{side} {bound:g}"
            met = "met" if (value <= bound if side == "≤" else value >= bound) else "missed"
        yield f"| {name} | {value:.3g} | {target} | {met} |"


if __name__ == "__main__":
    raise SystemExit(main())
