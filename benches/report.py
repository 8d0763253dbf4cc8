"""What a run leaves behind: the tables on the terminal, and JSON, Markdown and picture in a folder.

Each names the machine, what was built with what, and the day.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from budget import Budget, Pass, Verdict, medians
from picture import NAMES, draw


def table(judged: list[Verdict]) -> Iterator[str]:
    yield f"{'':<44}{'ours':>14}{'rival':>14}{'ratio':>9}  {'budget':<28}"
    for ours, rival, ratio, verdict in rows(judged):
        yield (
            f"{label(verdict.budget):<44}{ours:>14}{rival:>14}{ratio:>9}"
            f"  {verdict.budget.text():<28} {met(verdict)}"
        )


def rows(judged: list[Verdict]) -> Iterator[tuple[str, str, str, Verdict]]:
    for verdict in judged:
        rival = "" if verdict.rival is None else number(verdict.rival)
        ratio = "" if verdict.rival is None else f"{verdict.measured:.2f}"
        yield number(verdict.ours), rival, ratio, verdict


def met(verdict: Verdict) -> str:
    return "met" if verdict.met else "MISSED"


def label(budget: Budget) -> str:
    return f"{budget.what}, {budget.unit}" if budget.unit else budget.what


def figures_table(figures: Pass, cells: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for workload, contenders in cells.items():
        for contender in contenders:
            measured = figures.get(f"{contender}/{workload}")
            if measured:
                values = "  ".join(f"{key} {number(value)}" for key, value in measured.items())
                yield f"{workload:<10}{NAMES[contender]:<22}{values}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}".rstrip("0").rstrip(".")


def write(folder: Path, passes: list[Pass], judged: list[Verdict]) -> None:
    """Write ``side_by_side.json``, ``.md`` and ``.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    where = machine()
    report = {
        "machine": where,
        "passes": [
            {
                measured: {key: finite(value) for key, value in figures.items()}
                for measured, figures in one.items()
            }
            for one in passes
        ],
        "verdicts": [
            {
                "what": label(verdict.budget),
                "ours": finite(verdict.ours),
                "rival": verdict.rival,
                "measured": finite(verdict.measured),
                "budget": verdict.budget.text(),
                "met": verdict.met,
            }
            for verdict in judged
        ],
    }
    (folder / "side_by_side.json").write_text(json.dumps(report, indent=1) + "\n")
    caption = (
        f"{where['date']}, {where['cpus']} × {where['cpu']}, Python {where['python']}, "
        f"Linux {where['kernel']}, median of {len(passes)} passes of one run"
    )
    (folder / "side_by_side.md").write_text("\n".join(markdown(judged, caption)) + "\n")
    (folder / "side_by_side.svg").write_text(draw(medians(passes), caption))


def markdown(judged: list[Verdict], caption: str) -> Iterator[str]:
    yield from ("| what | ours | rival | ratio | budget | |", "|---|--:|--:|--:|---|---|")
    for ours, rival, ratio, verdict in rows(judged):
        yield (
            f"| {label(verdict.budget)} | {ours} | {rival} | {ratio} "
            f"| {verdict.budget.text()} | {met(verdict)} |"
        )
    yield from ("", f"{caption}. Ratios are medians of the passes' ratios.")


def finite(value: float) -> float | None:
    """``None`` for "never": JSON has no infinity."""
    return value if math.isfinite(value) else None


def machine() -> dict[str, Any]:
    versions = {}
    for distribution in ("snakepit-pool", "loky", "ray"):
        try:
            versions[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": cpu_model(),
        "python": platform.python_version(),
        "rustc": rustc(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "versions": versions,
    }


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()  # not every architecture names one


def rustc() -> str | None:
    """The compiler that is installed; the wheel and the Rust host are built by it."""
    if shutil.which("rustc") is None:
        return None
    asked = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
