"""What a fault does to us and to the rivals, in one run. ::

    python benches/fault_matrix.py                      everything, into benches/results
    python benches/fault_matrix.py --only host_killed cancel --contenders snakepit deadpool
    python benches/fault_matrix.py --readme             the README's table, from the recorded run

Each cell is a process of its own with a bound. What it leaves is found by a mark in the
environment and ended before the next one of its turn, so that nobody is blamed for another's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults import report
from faults.cells import CELLS, TIMELESS
from faults.rivals import RIVALS, versions

BENCHES = Path(__file__).resolve().parent
RESULTS = BENCHES / "results"
BOUND = 40.0
"""Seconds of one cell; longer than any that works."""


def run(contender: str, cell: str) -> dict[str, Any]:
    """Run one cell in a process of its own."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "faults.cells", contender, cell, directory],
            cwd=BENCHES,
            stdin=subprocess.DEVNULL,
            # No pipe: workers that outlive the cell would keep it open, and look like a hang.
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, "FAULTS_CELL": mark, "PYTHONPATH": str(BENCHES)},
        )
        try:
            process.wait(BOUND)
        except subprocess.TimeoutExpired:
            return {"won": False, "text": f"hangs: nothing within {BOUND:.0f} s", "figures": {}}
        finally:
            end(mark)
            process.wait()
        seen = Path(directory) / "seen.json"
        if seen.exists():
            outcome: dict[str, Any] = json.loads(seen.read_text())
            return outcome
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    why = last[0] if last else f"exit status {process.returncode}"
    return {"won": False, "text": f"the program ends: {why:.100}", "figures": {}}


def outcomes(
    pairs: Sequence[tuple[str, str]], jobs: int
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Run cells; those that measure a time one by one, with nothing of ours beside them."""
    timeless = [pair for pair in pairs if pair[0] in TIMELESS]
    with ThreadPoolExecutor(jobs) as pool:
        seen = list(pool.map(lambda pair: run(pair[1], pair[0]), timeless))
    yield from ((cell, name, it) for (cell, name), it in zip(timeless, seen, strict=True))
    for cell, name in pairs:
        if cell not in TIMELESS:
            yield cell, name, run(name, cell)


def end(mark: str) -> None:
    """Kill what a cell has left; all of it, also what starts meanwhile."""
    wanted = f"FAULTS_CELL={mark}".encode()
    found = True
    while found:
        found = False
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    found = True
            except OSError:
                continue


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--contenders", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--jobs", type=int, default=3, help="cells at a time that measure no time")
    parser.add_argument("--out", type=Path, default=None, help="default: benches/results, if whole")
    parser.add_argument("--readme", action="store_true", help="print the README's table and end")
    asked = parser.parse_args()
    if asked.readme:
        print("\n".join(report.readme(report.load(asked.out or RESULTS))))
        return 0

    found = versions()
    names = [name for name in asked.contenders if name in found]
    for name in set(asked.contenders) - set(names):
        print(f"not installed, left out: {name}", file=sys.stderr)
    pairs = [(cell, name) for cell in asked.only for name in names]
    matrix: dict[str, dict[str, Any]] = {cell: {} for cell in asked.only}
    for cell, name, outcome in outcomes(pairs, asked.jobs):
        matrix[cell][name] = outcome
    print("\n".join(report.table(matrix)))
    whole = set(asked.only) == set(CELLS) and set(names) == set(RIVALS)
    if whole or asked.out:
        report.record(asked.out or RESULTS, matrix)
    lost = [cell for cell in asked.only if not matrix[cell].get(report.OURS, {"won": True})["won"]]
    if lost:
        print(f"\nlost by us: {', '.join(lost)}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
