"""The worker in JavaScript, with its packages installed, and pools of it that leave nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pool.conftest import host, make_pool, nothing_left  # noqa: F401, fixtures

import snakepit

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node-worker"
OLDEST = 20


@pytest.fixture(scope="session")
def worker() -> str:
    """Path of the worker; what it requires is there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm on PATH")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"needs Node {OLDEST} or newer, not {version.stdout.strip()}")
    lock, installed = EXAMPLE / "package-lock.json", EXAMPLE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "ci", *quiet], cwd=EXAMPLE, check=True, timeout=110)
    return str(EXAMPLE / "worker.js")


@pytest.fixture
def script_pool(make_pool: Callable[..., Any], worker: str) -> Callable[..., Any]:  # noqa: F811
    """Makes pools of workers in JavaScript, ready."""

    def make(**options: Any) -> Any:
        pool = make_pool(snakepit.Program("node", worker), **options)
        pool.await_ready(60)
        return pool

    return make
