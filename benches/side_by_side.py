"""Snakepit beside its rivals, in one run on one machine: `make bench`.

Passes are interleaved (every contender runs each workload once a pass), figures are medians over
the passes, and the headline is the ratios. The tables go to stdout, and with JSON and picture into
``--out``, see `report.py`. Exit code 1 when a budget is missed and ``--strict`` is given.

A Rust host is a contender too: the program that ``--host`` names, built from `rust/host.rs`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from budget import Pass, medians, verdicts
from child import NothingToldError, told_by
from picture import NAMES
from report import figures_table, table, write
from workloads import FULL, QUICK

HERE = Path(__file__).resolve().parent
RUST = "snakepit rust"
CELLS = {
    "noop": ["pipe", "executor", "loky", "ray", "snakepit", RUST],
    "flight": ["executor", "loky", "ray", "snakepit", "snakepit asyncio", RUST],
    "stream": ["pipe", "ray", "snakepit", RUST],
    "dispatch": [RUST],
    "start 2": ["executor", "loky", "ray", "snakepit"],
    "start 8": ["executor", "loky", "snakepit"],
    "idle": ["executor", "loky", "ray", "snakepit"],
    "death": ["executor", "loky", "snakepit"],
}
LIBRARIES = {"loky": "loky", "ray": "ray", "snakepit": "snakepit", "snakepit asyncio": "snakepit"}
CELL_LIMIT = 120.0  # seconds; a rival that hangs ends here and is left out of its pass


def main() -> int:
    options = arguments()
    present = [name for name in NAMES if installed(name, options.host)]
    for name in NAMES:
        if name not in present:
            print(f"not installed, left out: {NAMES[name]}", file=sys.stderr)
    passes = [one_pass(number + 1, options, present) for number in range(options.passes)]
    judged = verdicts(passes)

    print("\n".join(table(judged)))
    print("\n" + "\n".join(figures_table(medians(passes), CELLS)))
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
    parser.add_argument(
        "--host",
        type=Path,
        default=HERE.parent / "target/release/bench-host",
        metavar="PROGRAM",
        help="the Rust host; left out where it is not built",
    )
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER")
    return parser.parse_args()


def installed(contender: str, host: Path) -> bool:
    if contender == RUST:
        return host.exists()
    library = LIBRARIES.get(contender)
    return library is None or importlib.util.find_spec(library) is not None


def one_pass(number: int, options: argparse.Namespace, present: list[str]) -> Pass:
    done: Pass = {}
    for workload in options.only:
        for contender in CELLS[workload]:
            if contender not in present:
                continue
            progress(f"pass {number}: {workload}, {NAMES[contender]}")
            figures = cell(contender, workload, options)
            if figures is not None:
                done[f"{contender}/{workload}"] = figures
    progress("")
    return done


def progress(text: str) -> None:
    """One line that overwrites itself; nothing where nobody watches."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def cell(contender: str, workload: str, options: argparse.Namespace) -> dict[str, float] | None:
    environment = None
    if contender == RUST:
        sizes = QUICK if options.quick else FULL
        command = [str(options.host), workload, *(f"{key}={n}" for key, n in sizes.items())]
        # The workers are those of the Python hosts.
        environment = {**os.environ, "SNAKEPIT_PYTHON": sys.executable}
    else:
        size = "quick" if options.quick else "full"
        command = [sys.executable, str(HERE / "cell.py"), contender, workload, size]
    try:
        figures: dict[str, float] = told_by(command, CELL_LIMIT, environment)
    except NothingToldError as reason:
        print(f"\n{contender}, {workload}: {reason}", file=sys.stderr)
        return None
    return figures


if __name__ == "__main__":
    sys.exit(main())
