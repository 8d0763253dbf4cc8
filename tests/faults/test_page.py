"""`docs/faults.md` and the record of the soak say what there is."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from .catalogue import ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/faults.md").read_text()
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d+ \|", line)
]
LATER = {30}
NAMES = {row.name for row in ROWS}
RESULTS = ROOT / "benches/results"


def test_there_are_thirty_rows() -> None:
    assert [int(row[0]) for row in TABLE] == [*range(1, 31)]
    assert {int(row[0]) for row in TABLE if row[2] == "later"} == LATER


@pytest.mark.parametrize("row", [pytest.param(row, id=f"row{row[0]}") for row in TABLE])
def test_every_row_names_tests_that_exist(row: list[str]) -> None:
    named = re.findall(r"`([^`]+)`", row[2])
    assert named or int(row[0]) in LATER
    for test in named:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), path
        if path.endswith("test_rows.py"):
            assert name in NAMES
            assert int(name[:2]) == int(row[0])
        elif name:
            assert re.search(rf"(def|fn) {name}\b", (ROOT / path).read_text()), test


def test_every_measured_row_is_on_the_page() -> None:
    assert {name for name in NAMES if f"test_rows.py::{name}`" not in PAGE} == set()


@pytest.fixture(scope="module")
def soak() -> Any:
    sys.path.insert(0, str(ROOT / "benches"))
    try:
        spec = importlib.util.spec_from_file_location("soak", ROOT / "benches/soak.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / "benches"))


def test_the_record_is_that_of_its_figures(soak: Any) -> None:
    report = json.loads((RESULTS / "soak.json").read_text())
    assert (RESULTS / "soak.md").read_text().splitlines() == [*soak.markdown(report)]
    assert {row["row"] for row in report["rows"]} == {row.number for row in ROWS}


def test_the_readme_has_the_figures_of_the_record(soak: Any) -> None:
    """Its table of reliability is what ``python benches/soak.py --table`` prints."""
    report = json.loads((RESULTS / "soak.json").read_text())
    readme = (ROOT / "README.md").read_text()
    assert [line for line in soak.headlines(report) if line not in readme] == []


def test_the_record_is_at_full_scale_and_every_row_is_measured(soak: Any) -> None:
    report = json.loads((RESULTS / "soak.json").read_text())
    assert report["scale"] == 1
    unmeasured = {row["row"]: row["failed"] for row in report["rows"] if not row["figures"]}
    assert unmeasured == {}
    counts = {row["row"]: row["counts"] for row in report["rows"]}
    assert counts == {row.number: json.loads(json.dumps(row.counts(1))) for row in ROWS}
    # A promise whose figure has another name by now would be missing without a word.
    assert len([*soak.headlines(report)]) == 2 + len(soak.HEADLINES) + 2
