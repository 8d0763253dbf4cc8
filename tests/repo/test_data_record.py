"""The record of large data meets its targets, and the pages say what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def recorded(root: Path) -> Any:
    return json.loads((root / "benches/results/data.json").read_text())


def run(root: Path, program: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=root / "benches",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_every_target_is_met(root: Path, recorded: Any) -> None:
    show = "import data, json; print(json.dumps(data.TARGETS))"
    (told,) = run(root, show)
    missed = {
        name: recorded["figures"].get(name)
        for name, (relation, bound) in json.loads(told).items()
        if not (
            recorded["figures"][name] >= bound
            if relation == "≥"
            else recorded["figures"][name] <= bound
        )
    }
    assert missed == {}


def test_the_pages_are_made_from_it(root: Path, recorded: Any) -> None:
    load = "import data, json; record = json.load(open('results/data.json')); "
    page = (root / "benches/results/data.md").read_text().splitlines()
    assert run(root, load + "print(*data.markdown(record), sep=chr(10))") == page
    readme = (root / "README.md").read_text()
    table = run(root, load + "print(*data.headlines(record), sep=chr(10))")
    assert "\n".join(table) in readme
    kept = ("SharedRef, µs beyond a no-op", "born array, µs beyond a no-op")
    (said,) = re.findall(r"cost (\d+) µs beyond a no-op", readme)
    assert {round(recorded["figures"][name]) for name in kept} == {int(said)}
