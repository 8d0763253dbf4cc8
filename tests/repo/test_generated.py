"""Generated code and the onion are as `cargo xtask` wants them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo on PATH")
@pytest.mark.timeout(600)  # the first run compiles xtask
@pytest.mark.parametrize("command", ["codegen --check", "layers", "versions"])
def test_xtask_has_nothing_to_say(command: str, root: Path) -> None:
    ended = subprocess.run(
        ["cargo", "xtask", *command.split()], cwd=root, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
