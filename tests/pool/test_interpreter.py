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
from snakepit import CallTimeout, StartError, WorkerDied

from .conftest import TESTS


@pytest.fixture
def venv(tmp_path: Path) -> Any:
    """Makes a virtual environment with one package of its own in it, and nothing of ours."""

    def make(version: str, *options: str) -> Path:
        place = tmp_path / f"venv-{version}"
        options = options or ("--without-pip",)
        subprocess.run([need(version), "-m", "venv", *options, place], check=True)
        (packages,) = place.glob("lib/python*/site-packages")
        (packages / "only_in_the_venv.py").write_text("VALUE = 1\n")
        return place

    return make


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_virtual_environment(make_pool: Any, venv: Any, version: str) -> None:
    place = venv(version)
    pool = make_pool(python=place / "bin" / "python", pythonpath=[TESTS], line="auto")
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
    pool = make_pool(python=place, pythonpath=[TESTS], line="auto")
    assert pool.execute("interpreter")["prefix"] == str(place)


def test_a_python_without_the_native_end_needs_three_packages(make_pool: Any, venv: Any) -> None:
    place = venv("3.10", "--symlinks")
    with pytest.raises(StartError) as caught:
        make_pool(python=place, pythonpath=[TESTS], line="auto", size=1).await_ready(60)
    text = str(caught.value)
    assert "lacks grpcio, msgpack, protobuf" in text
    assert "cpython 3.10" in text, "why the native end is not used"

    _, _, mend = text.partition("Mend it with: ")
    assert mend.startswith(f"{place}/bin/python -m pip install ")
    done = subprocess.run(mend.splitlines()[0], shell=True, capture_output=True, text=True)
    if done.returncode and "connection" in done.stderr.lower():
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr

    pool = make_pool(python=place, pythonpath=[TESTS], line="auto")
    seen = pool.execute("interpreter")
    assert (seen["version"], seen["prefix"]) == ([3, 10], str(place))
    value = {"a": [1, 2.5, None], "b": b"\0" * 100_000, "ü": 2**200}
    assert pool.execute("echo", {"value": value}) == value
    assert pool.execute("add_later", {"a": 1, "b": 2}) == 3
    assert list(pool.execute_stream("count_later", {"upto": 1000})) == [*range(1000)]
    with pool.session("s") as session:
        session.execute("remember", {"key": "k", "value": 1})
        assert session.execute("recall", {"key": "k"}) == 1
    with pytest.raises(CallTimeout):
        pool.execute("hold", {"release": str(place / "never")}, timeout=0.1)
    with pytest.raises(WorkerDied):
        pool.execute("die", {"how": "SIGKILL"})
    assert pool.execute("ping") == "pong"


def test_a_python_without_the_native_end_is_refused_it(make_pool: Any) -> None:
    python = need("3.10")
    with pytest.raises(StartError) as caught:
        make_pool(python=python, line="native", size=1).await_ready(60)
    assert python in str(caught.value)
    assert "the native end needs CPython 3.11 or newer" in str(caught.value)


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
