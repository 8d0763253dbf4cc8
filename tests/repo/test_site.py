"""The site has a place for every public name; that its links lead somewhere, `make site` checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import snakepit
import snakepit_bridge

ROOT = Path(__file__).resolve().parents[2]
API = "".join(page.read_text() for page in (ROOT / "docs/api").glob("*.md"))
SHOWN = re.findall(r"^::: (\S+)$", API, re.MULTILINE)


@pytest.mark.parametrize("package", [snakepit, snakepit_bridge])
def test_the_reference_has_each_public_name_once(package: object) -> None:
    name = package.__name__
    errors = {it for it in package.__all__ if hasattr(getattr(package, "errors", None), it)}
    told = [it.removeprefix(f"{name}.") for it in SHOWN if it.startswith(f"{name}.")]
    # Errors are shown as the module that has them, what both packages have as the host's.
    wanted = {*package.__all__} - {"__version__"} - (errors if "errors" in told else set())
    if package is not snakepit:
        wanted -= {it for it in wanted if getattr(package, it) is getattr(snakepit, it, None)}
    assert sorted(told) == sorted(wanted)
