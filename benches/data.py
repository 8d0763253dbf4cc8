"""Large data: how fast it goes, beside a copy in one process and beside others, in one run.

Only ratios mean something on a shared machine: everything is measured in turns, in this process,
and each figure is a median over the turns. The first turns are left out, in which the kernel makes
pages that nobody had before. ::

    python benches/data.py
    python benches/data.py --turns 15 --mib 64
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import data_rivals
import report
import snakepit
import snakepit_bridge
from snakepit_bridge import BaseAdapter, tool

WARM = 3
"""Turns before the ones that count."""


class Worker(BaseAdapter):
    """What the figures are made of."""

    def __init__(self) -> None:
        super().__init__()
        self._made: Any = None

    @tool
    def nothing(self, value: Any = None) -> None:
        """A call."""

    @tool
    def make(self, items: int) -> Any:
        if self._made is None or len(self._made) != items:
            self._made = np.ones(items)
        return self._made

    @tool
    def born(self, items: int) -> Any:
        return snakepit_bridge.empty(items)

    @tool
    def column(self, table: Any, name: str) -> list[float]:
        pc: Any = import_module("pyarrow.compute")
        before = anonymous()
        total = pc.sum(table.column(name)).as_py()
        return [total, (anonymous() - before) / 2**20]


def anonymous() -> int:
    """Bytes of memory that are this process's own."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


@dataclass
class Figure:
    """One thing that is measured, in seconds."""

    name: str
    run: Callable[[], object]
    turns: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.turns)


def measure(figures: list[Figure], turns: int, repeats: int = 1) -> dict[str, float]:
    """Medians of seconds, of figures that take turns."""
    for turn in range(WARM + turns):
        for figure in figures:
            begin = time.perf_counter()
            for _ in range(repeats):
                figure.run()
            took = (time.perf_counter() - begin) / repeats
            if turn >= WARM:
                figure.turns.append(took)
    return {figure.name: figure.median for figure in figures}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure large data.")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write data.json, data.md")
    parser.add_argument("--table", action="store_true", help="print the README's table")
    parser.add_argument("--without-others", action="store_true")
    options = parser.parse_args()
    if options.table:
        recorded = json.loads((Path(__file__).parent / "results/data.json").read_text())
        print("\n".join(headlines(recorded)))
        return 0
    found: dict[str, Any] = {"mib": options.mib}
    with snakepit.Pool(Worker, size=1, shared_memory={"max_bytes": 8 << 30}) as pool:
        pool.execute("nothing")
        found |= large(pool, options)
        found |= small(pool, options)
        found |= kept(pool, options)
        found |= arrow(pool)
    for name, figure in found.items():
        print(f"{figure:>12.4g}  {name}" if isinstance(figure, float) else f"{figure:>12}  {name}")
    if options.record:
        record = {"machine": report.machine(), "figures": found}
        (options.record / "data.json").write_text(json.dumps(record, indent=1) + "\n")
        (options.record / "data.md").write_text("\n".join(markdown(record)) + "\n")
    return 0


TARGETS: dict[str, tuple[str, float]] = {
    "first argument: speed, of np.copyto's": ("≥", 0.5),
    "argument: speed, of np.copyto's": ("≥", 0.9),
    "result: speed, of np.copyto's": ("≥", 0.9),
    "1 MiB argument: time, of a no-op and its copy": ("≤", 2.0),
    "SharedRef, µs beyond a no-op": ("≤", 50.0),
    "born array, µs beyond a no-op": ("≤", 50.0),
    "Arrow, 1 GiB, one column read: MiB that the worker grew": ("≤", 5.0),
}


def markdown(record: dict[str, Any]) -> Iterator[str]:
    """The record for people."""
    where, figures = record["machine"], record["figures"]
    yield "# Large data"
    yield ""
    yield "Made by `make bench-data`; `benches/data.py` says how each figure is measured."
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    yield (
        f"{where['date']}, {where['cpus']} cores of {where['cpu']}, Python {where['python']}, "
        f"Linux {where['kernel']}; {versions}. Arrays of {figures['mib']} MiB where none is named."
    )
    yield ""
    yield "| figure | measured | target | |"
    yield "|---|---:|---:|---|"
    for name, value in figures.items():
        if name == "mib":
            continue
        relation, bound = TARGETS.get(name, ("", 0.0))
        met = "met" if (value >= bound if relation == "≥" else value <= bound) else "missed"
        target = f"{relation} {bound:g}" if relation else ""
        yield f"| {name} | {value:.3g} | {target} | {met if relation else ''} |"


def headlines(record: dict[str, Any]) -> Iterator[str]:
    """The README's table."""
    figures, ray = record["figures"], record["machine"]["versions"]["ray"]
    rows = {
        f"array of {figures['mib']} MiB as an argument": ("argument", "Ray, argument", "joblib"),
        "the same as a result": ("result", "Ray, result"),
    }
    yield f"| speed, × `np.copyto` | Snakepit | Ray {ray} | joblib |"
    yield "|---|---|---|---|"
    for what, contenders in rows.items():
        speeds = [figures[name + ": speed, of np.copyto's"] for name in contenders]
        cells = [what, *(f"{speed:.2f}" for speed in speeds), *[""] * (3 - len(speeds))]
        yield f"| {' | '.join(cells)} |"


def large(pool: snakepit.Pool, options: argparse.Namespace) -> dict[str, Any]:
    """Against a copy of the same array in the same turns."""
    items = options.mib * 2**20 // 8
    array, target = np.ones(items), np.zeros(items)
    begin = time.perf_counter()
    np.copyto(target, array)
    begin, copied = time.perf_counter(), time.perf_counter() - begin
    pool.execute("nothing", {"value": array})
    first = time.perf_counter() - begin
    figures = [
        Figure("copyto", lambda: np.copyto(target, array)),
        Figure("argument", lambda: pool.execute("nothing", {"value": array})),
        Figure("result", lambda: pool.execute("make", {"items": items})),
    ]
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        if not options.without_others:
            contenders = stack.enter_context(data_rivals.others(array))
            figures += [Figure(name, run) for name, run in contenders]
        medians = measure(figures, options.turns)
    copy = medians["copyto"]
    found["np.copyto, ms"] = copy * 1e3
    found["first argument: speed, of np.copyto's"] = copied / first
    for name in ("argument", "result", *(figure.name for figure in figures[3:])):
        found[f"{name}: speed, of np.copyto's"] = copy / medians[name]
    return found


def small(pool: snakepit.Pool, options: argparse.Namespace) -> dict[str, Any]:
    """A mebibyte, against a call and a copy."""
    array, target = np.ones(2**17), np.zeros(2**17)
    medians = measure(
        [
            Figure("nothing", lambda: pool.execute("nothing")),
            Figure("copy", lambda: np.copyto(target, array)),
            Figure("argument", lambda: pool.execute("nothing", {"value": array})),
        ],
        options.turns,
        repeats=300,
    )
    least = medians["nothing"] + medians["copy"]
    return {
        "a no-op, µs": medians["nothing"] * 1e6,
        "1 MiB argument: time, of a no-op and its copy": medians["argument"] / least,
    }


def kept(pool: snakepit.Pool, options: argparse.Namespace) -> dict[str, Any]:
    """What is in shared memory already."""
    items = options.mib * 2**20 // 8
    born = pool.empty(items)
    with pool.put(np.ones(items)) as ref:
        medians = measure(
            [
                Figure("nothing", lambda: pool.execute("nothing")),
                Figure("ref", lambda: pool.execute("nothing", {"value": ref})),
                Figure("born", lambda: pool.execute("nothing", {"value": born})),
                Figure("result", lambda: pool.execute("born", {"items": 2**17})),
            ],
            options.turns,
            repeats=200,
        )
    beyond = medians["nothing"]
    return {
        "SharedRef, µs beyond a no-op": (medians["ref"] - beyond) * 1e6,
        "born array, µs beyond a no-op": (medians["born"] - beyond) * 1e6,
        "born result of 1 MiB, µs beyond a no-op": (medians["result"] - beyond) * 1e6,
    }


def arrow(pool: snakepit.Pool) -> dict[str, Any]:
    """A table of 1 GB, of which one column is read."""
    try:
        pa: Any = import_module("pyarrow")
    except ImportError:
        print("no pyarrow here: no figures of Arrow", file=sys.stderr)
        return {}
    table = pa.table({f"c{n}": np.ones(2**24) for n in range(8)})
    pool.execute("column", {"table": table.slice(0, 1), "name": "c0"})
    _, grown = pool.execute("column", {"table": table, "name": "c3"})
    return {"Arrow, 1 GiB, one column read: MiB that the worker grew": grown}


if __name__ == "__main__":
    sys.exit(main())
