"""Every fault of `docs/faults.md` at its full count: `make soak`, some 20 quiet minutes.

What is injected and measured is in `tests/faults`, whose tests do the same a few times; here it
goes on for the record: ``--out`` gets `soak.json` and `soak.md`, with machine, day and versions.
Each row is a process of its own, so that none inherits what another left. Exit code 1 when a target
is missed and ``--strict`` is given. ``--table`` prints what the README says of reliability.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from child import NothingToldError, told_by
from report import machine

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
ROW_LIMIT = 1200.0  # seconds
ASIDE = {2, 4, 15, 17, 18}
"""Rows that mostly wait, and one that counts what is left: they run side by side."""

HEADLINES = [
    ("Host killed by SIGKILL → everything gone", 1, "host SIGKILL → everything gone"),
    ("… with 1 GiB of memory in its worker", 1, "host SIGKILL → everything gone, 1 GiB"),
    ("… processes left, in all rounds", 1, "orphans"),
    ("Worker killed → its caller has the error", 5, "worker death → typed error"),
    ("… other calls that failed for it", 5, "bystanders harmed"),
    ("Deadline passed → caller goes on", 10, "deadline → caller freed"),
    ("… worker gone, after the grace", 10, "deadline → worker gone, beyond the grace"),
    ("Workers killed by the kernel, told as `oom`", 7, "kernel's kills told as oom"),
    ("Host stopped and continued: workers replaced", 4, "workers that were replaced"),
    ("Descriptors left by spawning and killing", 17, "descriptors, more than before"),
    ("… threads", 17, "threads, more than before"),
    ("… zombies", 17, "zombies, more than before"),
    ("… files in the run folder", 17, "run files, more than before"),
    ("… entries of /dev/shm", 17, "shared memory, more than before"),
    ("… control groups", 17, "control groups, more than before"),
    ("Ten times too many calls: let in → answer", 22, "let in → answer, p99"),
    ("Calls that ended twice, of those at their deadline", 12, "calls that ended twice"),
]


def main() -> int:
    options = arguments()
    if options.one is not None:
        print(json.dumps(measure(options.one, options.scale)))
        return 0
    if options.table:
        print("\n".join(headlines(json.loads((options.out / "soak.json").read_text()))))
        return 0
    record = options.out / "soak.json"
    before = json.loads(record.read_text()) if options.only and record.exists() else None
    if before and (why := not_to_be_joined(before, options.scale, machine())):
        sys.exit(f"{record}: {why}; measure every row, or name another folder with --out")
    report = soak(options.only, options.scale)
    if before:
        report = joined(before, report)
    options.out.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (options.out / "soak.md").write_text("\n".join(markdown(report)) + "\n")
    missed = [
        f"row {row['row']}: {figure['what']} {figure['text']} {figure['unit']}"
        for row in report["rows"]
        for figure in row["figures"]
        if not figure["met"]
    ] + [f"row {row['row']}: {row['failed']}" for row in report["rows"] if row["failed"]]
    print("\n".join(missed) or "every target met", f"; details in {options.out}", sep="")
    return 1 if options.strict and missed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Every fault at its full count.")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the counts")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument(
        "--only", nargs="+", type=int, metavar="ROW", help="the record keeps its other rows"
    )
    parser.add_argument("--table", action="store_true", help="print the README's table")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER")
    return parser.parse_args()


def catalogue() -> Any:
    """The rows; their package is below `tests`, which no program imports from otherwise."""
    sys.path.insert(0, str(TESTS))
    return importlib.import_module("faults.catalogue")


def measure(number: int, scale: float) -> dict[str, Any]:
    """Run one row here."""
    rows = catalogue()
    figures_of = importlib.import_module("faults.figures")
    row = next(row for row in rows.ROWS if row.number == number)
    counts = row.counts(scale)
    begin = time.monotonic()
    told: dict[str, Any] = {"row": number, "fault": row.fault, "counts": counts, "failed": None}
    try:
        figures = row.run(counts)
    except importlib.import_module("faults.processes").NotHereError as reason:
        figures, told["failed"] = [], str(reason)
    told["seconds"] = round(time.monotonic() - begin, 1)
    told["figures"] = [
        {
            "what": figure.what,
            "value": figure.value,
            "text": figures_of.number(figure.value),
            "unit": figure.unit,
            "target": figure.target(),
            "met": figure.holds(),
        }
        for figure in figures
    ]
    return told


def soak(only: Iterable[int] | None, scale: float) -> dict[str, Any]:
    rows = [row for row in catalogue().ROWS if only is None or row.number in only]
    begin = time.monotonic()
    aside = [row for row in rows if row.number in ASIDE]
    with ThreadPoolExecutor(len(ASIDE)) as side_by_side:
        done = list(side_by_side.map(lambda row: in_a_process(row, scale), aside))
    done += [in_a_process(row, scale) for row in rows if row not in aside]
    return {
        "machine": machine(),
        "scale": scale,
        "seconds": round(time.monotonic() - begin),
        "rows": sorted(done, key=lambda row: int(row["row"])),
    }


def not_to_be_joined(record: dict[str, Any], scale: float, here: dict[str, Any]) -> str | None:
    """Why rows that are measured here and now would not be those of this record; ``None``: they
    would."""
    if record["scale"] != scale:
        return f"it is of scale {record['scale']:g}, not {scale:g}"
    for what in ("cpu", "cpus", "architecture", "python"):
        if record["machine"].get(what) != here.get(what):
            return f"its {what} was {record['machine'].get(what)}, here it is {here.get(what)}"
    ours, now = (it["versions"].get("snakepit-pool") for it in (record["machine"], here))
    return None if ours == now else f"its snakepit was {ours}, here it is {now}"


def joined(record: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """A record with some rows measured anew; those say when and on which kernel, if on another."""
    there, here = record["machine"], fresh["machine"]
    other = {what: here[what] for what in ("date", "kernel") if here[what] != there[what]}
    anew = {int(row["row"]): {**row, **other} for row in fresh["rows"]}
    rows = {int(row["row"]): row for row in record["rows"]} | anew
    return {**record, "rows": [rows[number] for number in sorted(rows)]}


def in_a_process(row: Any, scale: float) -> dict[str, Any]:
    # Its processes are found by a variable, which must not be that of another row.
    environment = {k: v for k, v in os.environ.items() if k != "FAULTS_OF_THIS_RUN"}
    command = [sys.executable, __file__, "--one", str(row.number), "--scale", str(scale)]
    failed = {"row": row.number, "fault": row.fault, "counts": {}, "figures": [], "seconds": 0}
    try:
        told: dict[str, Any] = told_by(command, ROW_LIMIT, environment)
    except NothingToldError as reason:
        return {**failed, "failed": str(reason)}
    print(f"row {row.number}: {told['seconds']} s, {row.fault}", flush=True)
    return told


def caption(report: dict[str, Any]) -> str:
    where = report["machine"]
    part = "" if report["scale"] == 1 else f", {report['scale']:g} of the full counts"
    return (
        f"{where['date']}, {where['cpus']} × {where['cpu']}, Python {where['python']}, "
        f"Linux {where['kernel']}, snakepit {where['versions'].get('snakepit-pool', 'unknown')}, "
        f"{report['seconds'] / 60:.0f} minutes{part}"
    )


def markdown(report: dict[str, Any]) -> Iterator[str]:
    part = "full count" if report["scale"] == 1 else "a part of their full count"
    yield f"# Faults at {part}"
    yield ""
    yield "Made by `make soak`; what each row does is in [docs/faults.md](../../docs/faults.md)."
    yield ""
    yield caption(report)
    for row in report["rows"]:
        yield ""
        yield f"## {row['row']}: {row['fault']}"
        yield ""
        if "date" in row or "kernel" in row:
            day = row.get("date", report["machine"]["date"])
            kernel = f", Linux {row['kernel']}" if "kernel" in row else ""
            yield f"Measured anew on {day}{kernel}."
            yield ""
        if row["failed"]:
            yield f"Not measured: {row['failed']}"
            continue
        yield "| figure | measured | target | |"
        yield "|---|---:|---:|---|"
        for figure in row["figures"]:
            measured = f"{figure['text']} {figure['unit']}".strip()
            target = f"{figure['target']} {figure['unit']}".strip() if figure["target"] else ""
            met = "" if not target else "met" if figure["met"] else "MISSED"
            yield f"| {figure['what']} | {measured} | {target} | {met} |"


def headlines(report: dict[str, Any]) -> Iterator[str]:
    """What the README says of it: one line a promise."""
    found = {
        (row["row"], figure["what"]): figure for row in report["rows"] for figure in row["figures"]
    }
    yield "| what happens | p50 | p99 | worst | promise |"
    yield "|---|---:|---:|---:|---:|"
    for text, row, what in HEADLINES:
        if (row, what) in found:
            figure = found[row, what]
            yield f"| {text} | | | {_with_unit(figure, 'text')} | {_with_unit(figure, 'target')} |"
            continue
        three = [found.get((row, f"{what}, {which}")) for which in ("p50", "p99", "max")]
        if all(three):
            told = " | ".join(_with_unit(figure, "text") for figure in three if figure)
            yield f"| {text} | {told} | {_with_unit(three[1] or {}, 'target')} |"
    yield ""
    yield f"{caption(report)}."


def _with_unit(figure: dict[str, Any], key: str) -> str:
    return f"{figure[key]} {figure['unit']}".strip()


if __name__ == "__main__":
    sys.exit(main())
