"""The ends of the line that are tested, on which interpreters: one list, to add to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sdk.interpreters import need

from snakepit.conformance import PythonWorker

ADAPTER = f"{Path(__file__).with_name('adapter_of_line.py')}:Adapter"

NATIVE = ["3.11", "3.12", "3.13"]
EVERY_END = [("native", version) for version in NATIVE]
"""For the conformance kit: each end on each interpreter that it is for."""

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
OWN_ENDS = [("native", OWN)]
"""For the deeper tests; continuous integration runs them on each interpreter anyway."""


def worker(line: str, version: str, **more: str) -> PythonWorker:
    """How to start such a worker; skips where there is no such interpreter."""
    # The tests' own interpreter has the packages that adapters use.
    python = sys.executable if version == OWN else need(version)
    return PythonWorker(line=line, python=python, **more)


def params(ends: list[tuple[str, str]]) -> list[object]:
    return [pytest.param(end, id="-".join(end)) for end in ends]
