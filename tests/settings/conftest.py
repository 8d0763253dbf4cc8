from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from face import fake_core

try:
    import snakepit._core  # noqa: F401
except ImportError:
    # On a tree that was never built.
    sys.modules["snakepit._core"] = fake_core.module()

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test is in a folder of its own, without variables of ours."""
    for name in [*os.environ]:
        if name.startswith("SNAKEPIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of settings: ``snakepit.toml``, unless another name is given."""

    def write(text: str, name: str = "snakepit.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
