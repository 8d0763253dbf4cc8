"""Workers of another interpreter: its version, its packages, and what is told when it is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sdk.interpreters import need

import snakepit
from snakepit import StartError

from .conftest import TESTS


@pytest.fixture
def venv(tmp_path: Path) -> Any:
    """Makes a virtual environment with one package of its own in it, and nothing of ours."""

    def make(version: str) -> Path:
        place = tmp_path / f"venv-{version}"
        subprocess.run([need(version), "-m", "venv", "--without-pip", place], check=True)
        (packages,) = place.glob("lib/python*/site-packages")
        (packages / "only_in_the_venv.py").write_text("VALUE = 1\n")
        return place

    return make


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_virtual_environment(make_pool: Any, venv: Any, version: str) -> None:
    place = venv(version)
    pool = make_pool(python=place / "bin" / "python", pythonpath=[TESTS])
    seen = pool.execute("interpreter")
    assert seen["version"] == [int(part) for part in version.split(".")]
    assert seen["prefix"] == str(place)
    assert pool.execute("imported", {"name": "only_in_the_venv"}).startswith(str(place))
    assert pool.execute("add_later", {"a": 1, "b": 2}) == 3
    assert list(pool.execute_stream("count", {"upto": 3})) == [0, 1, 2]
    host_packages = [p for p in sys.path if "site-packages" in p]
    assert not set(host_packages) & set(seen["path"]), "nothing of the host leaks in"


def test_the_folder_of_an_environment_is_enough(make_pool: Any, venv: Any) -> None:
    place = venv(f"{sys.version_info[0]}.{sys.version_info[1]}")
    pool = make_pool(python=place, pythonpath=[TESTS])
    assert pool.execute("interpreter")["prefix"] == str(place)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.9"])
def test_an_interpreter_that_is_too_old(make_pool: Any, version: str) -> None:
    python = need(version)
    with pytest.raises(StartError) as caught:
        make_pool(python=python, size=1).await_ready(60)
    text = str(caught.value)
    assert python in text, "which file"
    assert version in text, "which version"
    assert "3.11" in text, "which is needed"
    assert "python=" in text or "pip install" in text, "which command mends it"


def test_an_interpreter_that_does_not_exist(tmp_path: Path) -> None:
    missing = tmp_path / "venv" / "bin" / "python"
    with pytest.raises(StartError) as caught:
        snakepit.Pool("pool.adapters:Basic", size=1, python=missing)
    assert str(missing) in str(caught.value)
    assert "-m venv" in str(caught.value)


@pytest.mark.parametrize("program", ["true", "false", "cat"])
def test_a_program_that_is_no_interpreter(make_pool: Any, program: str) -> None:
    path = shutil.which(program)
    with pytest.raises(StartError) as caught:
        make_pool(python=path, size=1, start_timeout=5).await_ready(60)
    assert str(path) in str(caught.value)
