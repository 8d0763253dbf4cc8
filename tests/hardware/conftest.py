"""Programs on machines that they take for others: with a driver's library or tools of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

try:
    from snakepit import _core

    # The tests of the face put a fake in its place where it was never built; that has no file.
    if not os.path.exists(_core.__file__):
        collect_ignore_glob = ["test_*.py"]
except ImportError:
    collect_ignore_glob = ["test_*.py"]

STUB = Path(__file__).parents[2] / "crates/core/src/hardware/nvidia/stub.c"
HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")

Run = Callable[..., str]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library that stands for NVML: two devices, the second one cut up."""
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libnvidia-ml.so.1"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, STUB], check=True)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program and returns what it printed; ``env`` is laid over ours, less what hides."""

    def run(program: str, *arguments: str, **env: Any) -> str:
        script = tmp_path / "program.py"
        script.write_text(program)
        inherited = {name: value for name, value in os.environ.items() if name not in HIDING}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), *arguments],
            env=inherited | {name: str(value) for name, value in env.items()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., str]:
    """Makes shell scripts of these names; returns a ``PATH`` that has them first."""

    def make(**scripts: str) -> str:
        folder = tmp_path / "tools"
        folder.mkdir(exist_ok=True)
        for name, script in scripts.items():
            file = folder / name.replace("_", "-")
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return make
