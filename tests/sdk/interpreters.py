"""The Pythons of this machine: those on PATH, and pyenv's, which need not be activated."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest


@functools.cache
def find(version: str) -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    installed = sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)
    for candidate in [shutil.which(f"python{version}"), *map(str, installed)]:
        executable = _executable(candidate, version) if candidate else None
        if executable is not None:
            return executable
    return None


def need(version: str) -> str:
    path = find(version)
    if path is None:
        pytest.skip(f"there is no Python {version} on this machine")
    return path


def _executable(python: str, version: str) -> str | None:
    """The program behind a name: shims of pyenv hide it, or fail when it is not activated."""
    show = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
    done = subprocess.run([python, "-S", "-c", show], capture_output=True, text=True, check=False)
    found, _, executable = done.stdout.strip().partition("\n")
    return executable if found == version else None
