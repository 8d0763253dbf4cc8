"""Snakepit beside its rivals, in one run on one machine: `make bench`.

Passes are interleaved (every contender runs each workload once a pass), figures are medians over
the passes, and the headline is the ratios. Writes a table to stdout and ``side_by_side.json`` and
``side_by_side.svg`` into ``--out``. Exit code 1 when a budget is missed and ``--strict`` is given.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from budget import Budget, Pass, Verdict, medians, verdicts
from picture import NAMES, draw

HERE = Path(__file__).resolve().parent
CELLS = {
    "noop": ["pipe", "executor", "loky", "ray", "snakepit"],
    "flight": ["executor", "loky", "ray", "snakepit", "snakepit asyncio"],
    "stream": ["pipe", "ray", "snakepit"],
    "start 2": ["executor", "loky", "ray", "snakepit"],
    "start 8": ["executor", "loky", "snakepit"],
    "idle": ["executor", "loky", "ray", "snakepit"],
    "death": ["executor", "loky", "snakepit"],
}
LIBRARIES = {"loky": "loky", "ray": "ray", "snakepit": "snakepit", "snakepit asyncio": "snakepit"}
CELL_LIMIT = 120.0  # seconds; a rival that hangs ends here and is left out of its pass


def main() -> int:
    options = arguments()
    present = [name for name in NAMES if installed(name)]
    for name in NAMES:
        if name not in present:
            print(f"not installed, left out: {NAMES[name]}", file=sys.stderr)
    passes = [one_pass(number + 1, options, present) for number in range(options.passes)]
    judged = verdicts(passes)

    print("\n".join(table(judged)))
    print("\n" + "\n".join(figures_table(medians(passes))))
    write(options.out, passes, judged)
    missed = [verdict for verdict in judged if not verdict.met]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} budgets met; details in {options.out}")
    return 1 if options.strict and missed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Snakepit beside its rivals.")
    parser.add_argument("--passes", type=int, default=3, help="default: 3")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it all run?")
    parser.add_argument("--strict", action="store_true", help="fail when a budget is missed")
    parser.add_argument("--only", nargs="+", choices=CELLS, default=list(CELLS), metavar="WORKLOAD")
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER")
    return parser.parse_args()


def installed(contender: str) -> bool:
    library = LIBRARIES.get(contender)
    return library is None or importlib.util.find_spec(library) is not None


def one_pass(number: int, options: argparse.Namespace, present: list[str]) -> Pass:
    done: Pass = {}
    for workload in options.only:
        for contender in CELLS[workload]:
            if contender not in present:
                continue
            progress(f"pass {number}: {workload}, {NAMES[contender]}")
            figures = cell(contender, workload, "quick" if options.quick else "full")
            if figures is not None:
                done[f"{contender}/{workload}"] = figures
    progress("")
    return done


def progress(text: str) -> None:
    """One line that overwrites itself; nothing where nobody watches."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def cell(contender: str, workload: str, size: str) -> dict[str, float] | None:
    command = [sys.executable, str(HERE / "cell.py"), contender, workload, size]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=CELL_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"\n{contender}, {workload}: no end within {CELL_LIMIT:.0f} s", file=sys.stderr)
        return None
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        print(f"\n{contender}, {workload}: {last[0]}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(lines[-1])
    return figures


def table(judged: list[Verdict]) -> Iterator[str]:
    yield f"{'':<36}{'ours':>14}{'rival':>14}{'ratio':>9}  {'budget':<20}"
    for verdict in judged:
        budget = verdict.budget
        rival = "" if verdict.rival is None else number(verdict.rival)
        ratio = "" if verdict.rival is None else f"{verdict.measured:.2f}"
        yield (
            f"{label(budget):<36}{number(verdict.ours):>14}{rival:>14}{ratio:>9}"
            f"  {budget.text():<20} {'met' if verdict.met else 'MISSED'}"
        )


def label(budget: Budget) -> str:
    return f"{budget.what}, {budget.unit}" if budget.unit else budget.what


def figures_table(figures: Pass) -> Iterator[str]:
    for workload, contenders in CELLS.items():
        for contender in contenders:
            measured = figures.get(f"{contender}/{workload}")
            if measured:
                values = "  ".join(f"{key} {number(value)}" for key, value in measured.items())
                yield f"{workload:<10}{NAMES[contender]:<22}{values}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}".rstrip("0").rstrip(".")


def write(folder: Path, passes: list[Pass], judged: list[Verdict]) -> None:
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
        f"{where['cpus']} cores, Python {where['python']}, Linux {where['kernel']}, "
        f"median of {len(passes)} passes of one run"
    )
    (folder / "side_by_side.svg").write_text(draw(medians(passes), caption))


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
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "versions": versions,
    }


if __name__ == "__main__":
    sys.exit(main())
