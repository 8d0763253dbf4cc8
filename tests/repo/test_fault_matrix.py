"""The recorded fault matrix is whole, ours has no lost cell, and the README says what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def benches(root: Path) -> Path:
    return root / "benches"


@pytest.fixture(scope="module")
def recorded(benches: Path) -> Any:
    return json.loads((benches / "results/fault_matrix.json").read_text())


def run(benches: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(benches / "fault_matrix.py"), *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def known(benches: Path) -> Any:
    """The cells and contenders that there are."""
    show = (
        "import json; from faults.cells import CELLS; from faults.rivals import RIVALS;"
        "print(json.dumps([list(CELLS), list(RIVALS)]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", show], cwd=benches, capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)


def test_the_recorded_run_is_whole(recorded: Any, known: Any) -> None:
    cells, contenders = known
    assert list(recorded["cells"]) == cells
    assert list(recorded["versions"]) == contenders
    assert all(list(row) == contenders for row in recorded["cells"].values())
    for name in ("date", "python", "kernel"):
        assert recorded[name]


def test_no_cell_is_lost(recorded: Any) -> None:
    ours = {cell: row["snakepit"] for cell, row in recorded["cells"].items()}
    assert [f"{cell}: {seen['text']}" for cell, seen in ours.items() if not seen["won"]] == []


def test_the_tables_are_made_from_it(benches: Path, root: Path, recorded: Any) -> None:
    made = run(benches, "--readme")
    assert made.returncode == 0, made.stderr
    rows = made.stdout.splitlines()
    assert len(rows) == 2 + len(recorded["cells"])
    # Where the README shows rivals beside us, it shows this.
    shown = (root / "README.md").read_text().splitlines()
    if rows[0] in shown:
        at = shown.index(rows[0])
        assert shown[at : at + len(rows)] == rows, "python benches/fault_matrix.py --readme"
    written = (benches / "results/fault_matrix.md").read_text()
    for row in recorded["cells"].values():
        assert all(seen["text"] in written for seen in row.values())


NAMED = {
    "KILLED": ["died: SIGKILL", "signal 9", "exit codes are {SIGKILL(-9)}", "it was killed"],
    "SEGFAULT": ["died: SIGSEGV", "exit codes are {SIGSEGV(-11)}", "Segmentation fault"],
    "EXIT_3": [
        "exited with code 3",
        "exit codes are {EXIT(3)}",
        "exitcode 3",
        "exit_3",
        "status 3",
    ],
}
UNNAMED = {
    "KILLED": ["2026-11-9", "of 9 workers", "unskilled", "A process was terminated abruptly"],
    "SEGFAULT": ["2026-11-11", "of 11 workers", "A process was terminated abruptly"],
    "EXIT_3": ["worker pool/3 is gone", "exit code 13", "code 30", "3 workers", "pid 3"],
}


@pytest.mark.parametrize("pattern", NAMED)
def test_a_cause_is_named_by_what_says_it_and_not_by_a_number_alone(
    benches: Path, pattern: str
) -> None:
    show = (
        "import json, sys; from faults import cells; pattern = getattr(cells, sys.argv[1]);"
        "print(json.dumps([cells.names_the_cause(text, pattern) for text in sys.argv[2:]]))"
    )
    texts = [*NAMED[pattern], *UNNAMED[pattern]]
    told = subprocess.run(
        [sys.executable, "-c", show, pattern, *texts],
        cwd=benches,
        capture_output=True,
        text=True,
        check=True,
    )
    named = [text for text, it in zip(texts, json.loads(told.stdout), strict=True) if it]
    assert named == NAMED[pattern]


def test_a_cell_runs(benches: Path, tmp_path: Path) -> None:
    ran = run(
        benches,
        *("--only", "worker_killed", "--contenders", "snakepit", "ProcessPoolExecutor"),
        *("--out", str(tmp_path)),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    cells = json.loads((tmp_path / "fault_matrix.json").read_text())["cells"]
    seen = {name: cell["figures"] for name, cell in cells["worker_killed"].items()}
    assert seen["snakepit"]["failed"] == 0
    assert seen["ProcessPoolExecutor"]["failed"] > 0, "else the cell does not do what it says"
