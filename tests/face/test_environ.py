"""The workers' environment and their interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import StartError, _core

THREADS = "OMP_NUM_THREADS"


@pytest.fixture
def environment(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("OMP_NUM_THREADS", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.delenv(name, raising=False)
    return lambda **options: make_pool(**options)._engine.config.env


def test_inherited_less_our_own(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKEPIT_TOKEN", "x")
    monkeypatch.setenv("SNAKEPIT_LOG_LEVEL", "debug")
    monkeypatch.setenv("SOME_SETTING", "y")
    env = environment()
    assert "SNAKEPIT_TOKEN" not in env
    assert env["SNAKEPIT_LOG_LEVEL"] == "debug", "which the adapters' logging reads"
    assert environment(env={"SNAKEPIT_LOG_LEVEL": "info"})["SNAKEPIT_LOG_LEVEL"] == "info"
    assert env["SOME_SETTING"] == "y"
    assert env["PATH"] == os.environ["PATH"]


def test_secrets_do_not_pass(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert "AWS_SECRET_ACCESS_KEY" in environment()
    assert "AWS_SECRET_ACCESS_KEY" not in environment(secrets=["AWS_SECRET_ACCESS_KEY", "OTHER"])
    assert "AWS_SECRET_ACCESS_KEY" not in environment(secrets="AWS_SECRET_ACCESS_KEY")


def test_strict_is_an_allow_list(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "x")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    env = environment(env="strict")
    assert "DATABASE_URL" not in env
    assert (env["LC_ALL"], env["CUDA_VISIBLE_DEVICES"]) == ("C.UTF-8", "1")
    assert "PATH" in env


def test_a_mapping_is_laid_over(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROP", "x")
    monkeypatch.setenv("CHANGE", "x")
    env = environment(env={"DROP": None, "CHANGE": "y", "ADD": "z", "NEVER_THERE": None})
    assert "DROP" not in env
    assert "NEVER_THERE" not in env
    assert (env["CHANGE"], env["ADD"]) == ("y", "z")


def test_cores_are_shared_among_workers(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "usable_cores", lambda: 8)
    assert environment(size=2)[THREADS] == "4"
    assert environment(size=16)[THREADS] == "1"
    assert environment(size=2, env="strict")["MKL_NUM_THREADS"] == "4"
    assert environment(size=2, env={THREADS: "3"})[THREADS] == "3"
    monkeypatch.setenv(THREADS, "7")
    assert environment(size=2)[THREADS] == "7"


# --- interpreter --------------------------------------------------------------------------------


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Something that looks like a virtual environment."""
    python = tmp_path / "other" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(os.path.realpath(sys.executable))
    return python


def test_own_interpreter_sees_what_the_host_sees(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", "relative", *sys.path, "/zipped.zip"])
    seen = make_pool()._engine.config.sys_path
    assert seen[:2] == [os.getcwd(), os.path.abspath("relative")]
    assert "/zipped.zip" in seen
    assert all(map(os.path.isabs, seen))


def test_pythonpath_comes_first(make_pool: Any, tmp_path: Path, venv: Path) -> None:
    own = make_pool(pythonpath=[tmp_path, "here"])._engine.config
    assert own.sys_path[:2] == [str(tmp_path), os.path.abspath("here")]
    assert len(own.sys_path) > 2, "and then what the host sees"

    other = make_pool(pythonpath=[tmp_path], python=venv, env={"PYTHONPATH": "/elsewhere"})
    config = other._engine.config
    assert config.sys_path == [], "that interpreter's own"
    assert config.env["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/elsewhere"


def test_pythonpath_comes_before_one_by_slot_too(
    make_pool: Any, tmp_path: Path, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/inherited")
    by_slot = {"PYTHONPATH": "/elsewhere/{slot}"}
    config = make_pool(pythonpath=[tmp_path, "/x"], python=venv, env=by_slot)._engine.config
    front = f"{tmp_path}{os.pathsep}/x"
    assert config.env_by_slot == {"PYTHONPATH": (["/elsewhere/{slot}"], front)}
    assert "PYTHONPATH" not in config.env, "the name is told once"


def test_another_environment_is_known_by_its_link(
    make_pool: Any, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/ours")
    config = make_pool(python=venv)._engine.config
    assert config.python == str(venv)
    assert config.sys_path == []
    assert "PYTHONHOME" not in config.env
    assert make_pool(python=venv.parent.parent)._engine.config.python == str(venv)


def test_a_name_is_looked_up_in_path(
    make_pool: Any, venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.rename(venv.with_name("python9.9"))
    monkeypatch.setenv("PATH", str(venv.parent))
    found = make_pool(python="python9.9")._engine.config.python
    assert found == str(venv.with_name("python9.9"))


def test_missing_interpreter_is_a_start_error_with_a_remedy(tmp_path: Path) -> None:
    missing = tmp_path / ".venv" / "bin" / "python"
    with pytest.raises(StartError) as caught:
        snakepit.Pool("some:Adapter", size=1, python=missing)
    assert str(missing) in str(caught.value)
    assert f"-m venv {tmp_path / '.venv'}" in str(caught.value)

    with pytest.raises(StartError, match=r"python99"):
        snakepit.Pool("some:Adapter", size=1, python="python99")


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    text = tmp_path / "python"
    text.write_text("no program")
    with pytest.raises(StartError, match="chmod"):
        snakepit.Pool("some:Adapter", size=1, python=text)
