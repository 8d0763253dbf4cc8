"""A project that is made runs at once, and nothing that exists is touched."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit import __version__
from snakepit._cli import scaffold

from .conftest import Command, Host


def test_what_is_made_runs_and_its_tests_pass(command: Command, host: Host) -> None:
    status, out, err = command("gen", "adapter", "MyModel", "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["module"], told["class"]) == ("my_model", "MyModel")
    assert {str(path) for path in Path("my_model").rglob("*") if path.is_file()} == {*told["files"]}
    readme = Path("my_model/README.md").read_text()
    assert """snakepit run my_model:MyModel greet '{"name": "world"}'""" in readme
    project = tomllib.loads(Path("my_model/pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [f"snakepit-bridge>={__version__}"]
    host.directory /= "my_model"
    status, out, err = host.run("-m", "pytest", "-q", "-p", "no:cacheprovider", seconds=100)
    assert status == 0, out + err
    assert "4 passed" in out


@pytest.mark.parametrize("there", ["folder", "file", "link", "link to nothing"])
def test_what_exists_is_refused(command: Command, tmp_path: Path, there: str) -> None:
    target = Path("taken")
    match there:
        case "folder":
            target.mkdir()
        case "file":
            target.write_text("precious")
        case "link":
            Path("elsewhere").mkdir()
            target.symlink_to("elsewhere")
        case _:
            target.symlink_to("nowhere")
    status, out, err = command("gen", "adapter", "taken")
    assert (status, out) == (1, "")
    assert ("is a link" if "link" in there else "is there already") in err
    assert "--dir" in err.splitlines()[1]
    assert not list(tmp_path.rglob("*.py"))


def test_a_place_that_cannot_be_is_named(command: Command) -> None:
    Path("file").touch()
    assert command("gen", "adapter", "x", "--dir", "nowhere").err == (
        "snakepit: there is no folder nowhere\n  mkdir -p nowhere\n"
    )
    assert "file is no folder" in command("gen", "adapter", "x", "--dir", "file").err


def test_one_that_cannot_be_written_leaves_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "files", lambda *_: {"a.py": "", "b/c/d.py": ""})
    status, _, err = command("gen", "adapter", "half")
    assert status == 1
    assert "half/b/c" in err
    assert not Path("half").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("my-adapter", "my_adapter"),
        ("3d model", "d_model"),
        ("a/../b", "a_b"),
        ("json", "json_adapter"),
        ("class", "class_adapter"),
        ("snakepit", "snakepit_adapter"),
        ("_", None),
        ("", None),
    ],
)
def test_a_name_that_cannot_be_one_is_told(
    command: Command, tmp_path: Path, name: str, meant: str | None
) -> None:
    status, out, err = command("gen", "adapter", "--", name)
    assert (status, out) == (2, "")
    assert err.startswith("snakepit: Invalid value for NAME: ")
    assert (f"did you mean {meant}?" in err) if meant else ("did you mean" not in err)
    assert [*tmp_path.iterdir()] == []


@settings(max_examples=200)
@given(st.text(st.characters(max_codepoint=127)) | st.from_regex(r"[A-Za-z_0-9]{1,12}"))
def test_every_name_that_is_taken_gives_python(name: str) -> None:
    if scaffold.fault(name) is not None:
        other = scaffold.suggestion(name)
        assert other is None or scaffold.fault(other) is None
        return
    module, kind = scaffold.module_of(name), scaffold.class_of(name)
    assert module.isidentifier()
    assert kind.isidentifier()
    files = scaffold.files(name, "1.0")
    tree = ast.parse(files[f"{module}.py"])
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == [kind]
    ast.parse(files[f"tests/test_{module}.py"])
    assert tomllib.loads(files["pyproject.toml"])["project"]["name"]


def test_what_is_made_is_as_ruff_would_have_it(command: Command) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed beside this Python")
    command("gen", "adapter", "my_model")
    for check in (["check"], ["format", "--check"]):
        ended = subprocess.run(
            [ruff, *check, "--no-cache", "--isolated", "my_model"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
