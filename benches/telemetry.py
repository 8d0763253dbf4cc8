"""What telemetry costs: with nobody attached, and with a handler of everything, in one run.

Only ratios mean something on a shared machine: both are measured in turns, in one process after the
other, and each figure is a median over the turns of all. ::

    python benches/telemetry.py
    python benches/telemetry.py --processes 15 --record benches/results
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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


Turn = tuple[float, float, float, float]
"""Seconds of a call without a handler and with one, and of the host's processors for it."""


def compare(
    pool: snakepit.Pool,
    measure: Callable[[snakepit.Pool, int], float],
    pattern: str,
    turns: int,
    calls: int,
) -> list[Turn]:
    """Turns without and with a handler, one after the other and then the other way round."""
    handler = Handler()
    took: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for turn in range(turns + 2):
        for is_heard in (turn % 2 == 0, turn % 2 == 1):
            if is_heard:
                telemetry.attach("bench", pattern, handler)
            begin = time.process_time()
            seconds = measure(pool, calls)
            telemetry.flush(60)
            took[is_heard].append((seconds, (time.process_time() - begin) / calls))
            telemetry.detach("bench")
    if pattern == "*":
        told = handler.events + telemetry.dropped()
        assert told >= 2 * calls * turns, f"{told} events of {calls * (turns + 2)} calls"
    # The first turns warm up.
    both = zip(took[False][2:], took[True][2:], strict=True)
    return [(off[0], on[0], off[1], on[1]) for off, on in both]


class Compared(NamedTuple):
    """What is measured with a handler and without."""

    name: str
    measure: Callable[[snakepit.Pool, int], float]
    what: str
    """That is heard."""
    pattern: str
    took: str
    """What it measures, by name."""


COMPARED = [
    Compared("one at a time", one_at_a_time, "everything", "*", "p50"),
    Compared("64 in flight", in_flight, "everything", "*", "time"),
    Compared("one at a time", one_at_a_time, "other events", "snakepit.pool.*", "p50"),
]


def one_process(turns: int, calls: int) -> list[list[Turn]]:
    """What this process measures."""
    found = []
    with snakepit.Pool(Worker, size=2) as pool:
        pool.await_ready(60)
        for compared in COMPARED:
            # A fifth of a second: what else runs on the machine changes this soon. In less, the
            # last events of a turn, while which no call is under way, would count for too much.
            more = (turns * 2, calls * 8) if compared.measure is in_flight else (turns, calls)
            found.append(compare(pool, compared.measure, compared.pattern, *more))
    assert telemetry.dropped() == 0, f"{telemetry.dropped()} events dropped"
    return found


def several_processes(processes: int, turns: int, calls: int) -> list[list[Turn]]:
    """What so many measure, one after the other: one is a percent slower than the next, with a
    handler or without, for as long as it lives.
    """
    found: list[list[Turn]] = [[] for _ in COMPARED]
    command = [sys.executable, __file__, "--turns", str(turns), "--calls", str(calls)]
    for _ in range(processes):
        ran = subprocess.run([*command, "--raw"], check=True, stdout=subprocess.PIPE, text=True)
        for turns_of_all, turns_of_one in zip(found, json.loads(ran.stdout), strict=True):
            turns_of_all += turns_of_one
    return found


def figures(measured: list[list[Turn]]) -> dict[str, float]:
    """Medians of all turns, and of the ratios within each."""
    found: dict[str, float] = {}
    for (name, measure, what, _, took), turns in zip(COMPARED, measured, strict=True):
        off, on, off_cpu, on_cpu = zip(*turns, strict=True)
        ratio = statistics.median(b / a for a, b in zip(off, on, strict=True))
        processor = statistics.median(b / a for a, b in zip(off_cpu, on_cpu, strict=True))
        unit = f"{name}: {took}" + ("" if what == "everything" else f" ({what})")
        of_that = f"with a handler of {what}, of that without"
        found[f"{unit} without, µs"] = statistics.median(off) * 1e6
        found[f"{unit} with, µs"] = statistics.median(on) * 1e6
        if measure is in_flight:
            found[f"{name}: throughput {of_that}"] = 1 / ratio
        else:
            found[f"{name}: {took} {of_that}"] = ratio
        found[f"{name}: host CPU {of_that}"] = processor
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what telemetry costs.")
    parser.add_argument(
        "--processes", type=int, default=7, help="that measure, one after the other"
    )
    parser.add_argument("--turns", type=int, default=7, help="of each of them")
    parser.add_argument("--calls", type=int, default=4000, help="of one turn")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write telemetry.json, .md")
    parser.add_argument("--raw", action="store_true", help="one process: print its turns as JSON")
    options = parser.parse_args()
    if options.raw:
        print(json.dumps(one_process(options.turns, options.calls)))
        return 0
    found = figures(several_processes(options.processes, options.turns, options.calls))
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
        f"Linux {where['kernel']}; two workers; no event was dropped."
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
