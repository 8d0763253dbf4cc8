"""The repository as these tests see it. They need a checkout; an installed wheel is not enough."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]
