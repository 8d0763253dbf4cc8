"""What tests let go wrong by `SNAKEPIT_FAIL` is in no wheel; what fuzzers begin with is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from snakepit import _core


def test_the_wheel_has_no_failpoints() -> None:
    code = Path(_core.__file__).read_bytes()
    # A name that any build has: texts of the program can be found like this. That a build with
    # failpoints has the other one is a test of crates/testkit.
    assert b"SNAKEPIT_RUN" in code
    assert b"SNAKEPIT_FAIL" not in code


def test_seeds_of_the_fuzzers_are_those_of_the_vectors(root: Path) -> None:
    seeds = root / "fuzz" / "seeds.py"
    told = subprocess.run(
        [sys.executable, seeds, "check"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout
