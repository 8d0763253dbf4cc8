"""Marks and the header that all tests share; a folder's fixtures are in its own conftest."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

# A shell starts what it puts into the background with SIGINT ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
MARKS = {
    "repo": ["repo"],
    "pool": ["process"],
    "chaos": ["process"],
    "faults": ["process"],
    "hardware": ["process"],
    "line": ["process"],
    "grpcio_end": ["process"],
    "node": ["process"],
    "cli": ["process"],
    "conformance": ["process"],
    "examples": ["process", "repo"],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder's name is a mark: `-m "not process"` leaves out whatever starts workers."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        for mark in MARKS.get(folder, []):
            item.add_marker(mark)


def pytest_report_header() -> list[str]:
    """Which build is tested; two runs that differ here cannot be compared."""
    try:
        from snakepit import _core
    except ImportError as error:
        return [f"snakepit._core: not importable ({error})"]
    free_threaded = not getattr(sys, "_is_gil_enabled", lambda: True)()
    return [f"snakepit._core: {_core.__version__} {_core.__build__}, GIL off: {free_threaded}"]
