"""The README's section "How reliable" is written where it belongs, and is what the records say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def reliability(root: Path) -> Iterator[Any]:
    """`benches/reliability.py`; what it imports is beside it, and has names of tests, too."""
    before, path = dict(sys.modules), [*sys.path]
    for name in [name for name in before if name.partition(".")[0] == "faults"]:
        del sys.modules[name]
    sys.path.insert(0, str(root / "benches"))
    try:
        yield importlib.import_module("reliability")
    finally:
        sys.path[:] = path
        sys.modules.clear()
        sys.modules.update(before)


README = """\
# Snakepit

## How fast

Fast.

## Platform

Linux.
"""


def test_the_section_stands_in_front_of_the_next_one_and_is_replaced(reliability: Any) -> None:
    first = reliability.written(README, "## How reliable\n\nVery.\n\n")
    assert first == README.replace("## Platform", "## How reliable\n\nVery.\n\n## Platform")
    second = reliability.written(first, "## How reliable\n\nMore \\1.\n\n")
    assert second == first.replace("Very", "More \\1")
    with pytest.raises(ValueError, match="neither"):
        reliability.written("# Snakepit\n", "## How reliable\n")


def test_the_section_has_both_tables(reliability: Any) -> None:
    record = reliability.json.loads((reliability.HERE / "results/soak.json").read_text())
    matrix = reliability.report.load(reliability.HERE / "results")
    lines = reliability.section(record, matrix).splitlines()
    for table in (reliability.soak.headlines(record), reliability.report.readme(matrix)):
        head, *rows = table
        at = lines.index(head)
        assert lines[at - 1] == "", "a table begins behind an empty line"
        assert lines[at + 1 : at + 1 + len(rows)] == rows


def test_the_readme_says_what_the_records_say(reliability: Any, root: Path) -> None:
    readme = (root / "README.md").read_text()
    assert reliability.HEADING in readme.splitlines(), "make reliability"
    record = reliability.json.loads((reliability.HERE / "results/soak.json").read_text())
    text = reliability.section(record, reliability.report.load(reliability.HERE / "results"))
    assert reliability.written(readme, text) == readme, "make reliability"


# --- the soak's record ----------------------------------------------------------------------------


def report(day: str, *rows: int, **machine: Any) -> dict[str, Any]:
    there = {"date": day, "cpu": "fast", "cpus": 2, "architecture": "x86_64", "kernel": "6.1"}
    measured = [
        {"row": number, "fault": "rain", "failed": None, "figures": [], "counts": {"on": day}}
        for number in rows
    ]
    machine = {**there, "python": "3.13", "versions": {"snakepit-pool": "1"}, **machine}
    return {"machine": machine, "scale": 1.0, "seconds": 600, "rows": measured}


def test_rows_that_are_measured_anew_leave_the_others_in_the_record(reliability: Any) -> None:
    soak, record = reliability.soak, report("2026-01-01", 1, 2, 7)
    now = soak.joined(record, report("2026-01-02", 2, 5))
    assert [(row["row"], row["counts"]["on"][-1]) for row in now["rows"]] == [
        (1, "1"),
        (2, "2"),
        (5, "2"),
        (7, "1"),
    ]
    assert [row.get("date") for row in now["rows"]] == [None, "2026-01-02", "2026-01-02", None]
    assert (now["machine"], now["seconds"]) == (record["machine"], 600)
    told = [*soak.markdown(now)]
    assert told.count("Measured anew on 2026-01-02.") == 2
    newer = report("2026-01-01", 2)
    newer["machine"]["kernel"] = "6.2"
    told = [*soak.markdown(soak.joined(record, newer))]
    assert told.count("Measured anew on 2026-01-01, Linux 6.2.") == 1
    same_day = soak.joined(record, report("2026-01-01", 2))
    assert same_day == record, "nothing more to say"


def test_rows_of_another_scale_or_machine_do_not_belong_into_it(reliability: Any) -> None:
    soak, record = reliability.soak, report("2026-01-01", 1)
    assert soak.not_to_be_joined(record, 1.0, record["machine"]) is None
    another_day = {**record["machine"], "date": "2026-01-02"}
    assert soak.not_to_be_joined(record, 1.0, another_day) is None
    assert "of scale 1, not 0.1" in soak.not_to_be_joined(record, 0.1, record["machine"])
    slow = {**record["machine"], "cpu": "slow"}
    assert "its cpu was fast, here it is slow" in soak.not_to_be_joined(record, 1.0, slow)
