"""The matrix as a table for the terminal, as JSON, as Markdown and as the README's table."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .cells import CELLS
from .rivals import RIVALS, versions

OURS = "snakepit"
Matrix = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By cell, then by contender: ``won``, ``text``, ``figures``."""


def record(folder: Path, matrix: Matrix) -> None:
    """Write ``fault_matrix.json`` and ``fault_matrix.md``."""
    ran = {name for row in matrix.values() for name in row}
    found = versions()
    report = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpus": len(os.sched_getaffinity(0)),
        "versions": {name: found[name] for name in RIVALS if name in ran},
        "cells": {cell: dict(row) for cell, row in matrix.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fault_matrix.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / "fault_matrix.md").write_text("\n".join(markdown(report)) + "\n")


def markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """Every cell of a report, in full."""
    names = list(report["versions"])
    yield "# What a fault does\n"
    yield (
        f"{report['date']}, Python {report['python']}, Linux {report['kernel']}, "
        f"{report['cpus']} CPUs, two workers each, one run; `make bench-faults`. "
        "✓: nobody is harmed who need not be, the caller is told, nothing is left.\n"
    )
    for cell, row in report["cells"].items():
        what, _ = CELLS[cell]
        yield f"## {what[0].upper()}{what[1:]}\n"
        yield from ("| | | |", "|---|---|---|")
        for name in names:
            seen = row[name]
            yield f"| {name} | {sign(seen)} | {seen['text']} |"
        yield ""
    told = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    yield f"Versions: {told}."


def readme(report: Mapping[str, Any]) -> Iterator[str]:
    """The table of the README: our words, and a sign for each rival."""
    rivals = [name for name in report["versions"] if name != OURS]
    yield f"| fault | Snakepit | {' | '.join(rivals)} |"
    yield f"|---|---|{'|'.join(':-:' for _ in rivals)}|"
    for cell, row in report["cells"].items():
        what, _ = CELLS[cell]
        signs = " | ".join(sign(row[name]) for name in rivals)
        yield f"| {what} | {row[OURS]['text']} | {signs} |"


def sign(seen: Mapping[str, Any]) -> str:
    return "✓" if seen["won"] else "✗"


def table(matrix: Matrix) -> Iterator[str]:
    for cell, row in matrix.items():
        yield f"\n{CELLS[cell][0]}"
        for name, seen in row.items():
            yield f"  {sign(seen)} {name:<22}{seen['text']}"


def load(folder: Path) -> dict[str, Any]:
    """The recorded report."""
    report: dict[str, Any] = json.loads((folder / "fault_matrix.json").read_text())
    return report
