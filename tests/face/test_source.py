"""Where workers find the adapter: a way for every class that has one, an error for the rest."""

from __future__ import annotations

import shutil
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import AdapterSourceError, ConfigError, Program, StartError
from snakepit._source import adapter_source

from .conftest import Adapter


class Outer:
    class Nested:
        pass


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for the running program, with a class ``Mine``."""

    def make(**attributes: Any) -> type:
        module = types.ModuleType("__main__")
        module.__dict__.update(attributes)
        mine = type("Mine", (), {"__module__": "__main__"})
        module.Mine = mine  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "__main__", module)
        return mine

    return make


def test_classes_of_modules() -> None:
    assert adapter_source(Adapter)[:3] == ("module", Adapter.__module__, "Adapter")
    assert adapter_source(Outer.Nested)[:3] == ("module", __name__, "Outer.Nested")
    assert adapter_source("my_app.adapters:Model")[:3] == ("module", "my_app.adapters", "Model")
    assert adapter_source("m:Outer.Inner")[:3] == ("module", "m", "Outer.Inner")


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("my_app.adapters.Model", "my_app.adapters:Model"),
        ("Model", "module:Model"),
        ("adapters", "adapters:Class"),
        ("adapters.py", "adapters:Class"),
        ("", "module:Class"),
        ("a:", "a:Class"),
        ("a b:C", "module:Class"),
        ("a::C", "module:Class"),
        ("path/to/file.py:Class", "module:Class"),
    ],
)
def test_a_string_of_another_form(text: str, suggestion: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapter_source(text)
    assert (caught.value.field, caught.value.suggestion) == ("adapter", suggestion)


def test_an_empty_string_is_not_quoted_back() -> None:
    with pytest.raises(ConfigError, match='adapter: is empty; name the class as "module:Class"'):
        adapter_source("")


@pytest.mark.parametrize("value", [None, 7, Adapter(), print, sys])
def test_something_else_than_a_class(value: object) -> None:
    with pytest.raises(ConfigError, match="adapter"):
        adapter_source(value)


def test_class_of_the_running_script(main: Any, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.touch()
    mine = main(__file__=str(script), __spec__=None)
    assert adapter_source(mine)[:3] == ("script", str(script), "Mine")
    assert adapter_source("__main__:Mine")[:3] == ("script", str(script), "Mine")


def test_class_of_a_program_run_with_m(main: Any) -> None:
    mine = main(__file__="/x/app/__main__.py", __spec__=ModuleSpec("app.__main__", None))
    assert adapter_source(mine)[:3] == ("main_module", "app.__main__", "Mine")


def test_class_of_a_folder_that_is_run(main: Any, tmp_path: Path) -> None:
    script = tmp_path / "__main__.py"
    script.touch()
    mine = main(__file__=str(script), __spec__=ModuleSpec("__main__", None))
    assert adapter_source(mine)[:3] == ("script", str(script), "Mine")


@pytest.mark.parametrize(
    "attributes",
    [{}, {"__spec__": None}, {"__file__": "<stdin>"}, {"__file__": "/gone/away.py"}],
    ids=str,
)
def test_no_file_leads_to_the_class(main: Any, attributes: dict[str, Any]) -> None:
    with pytest.raises(AdapterSourceError) as caught:
        adapter_source(main(**attributes))
    assert '"my_adapters:Mine"' in str(caught.value), "the way out"
    assert "inline=True" in str(caught.value)


def test_class_made_in_a_function() -> None:
    class Local:
        pass

    with pytest.raises(AdapterSourceError, match="top level"):
        adapter_source(Local)
    assert adapter_source(Local, inline=True).kind == "inline"


def test_class_that_its_name_does_not_lead_to() -> None:
    hidden = type("Adapter", (), {"__module__": Adapter.__module__})
    with pytest.raises(AdapterSourceError, match="Adapter"):
        adapter_source(hidden)


def test_module_made_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made_up")
    module.Mine = type("Mine", (), {"__module__": "made_up"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up", module)
    with pytest.raises(AdapterSourceError, match="made_up"):
        adapter_source(module.Mine)


@pytest.mark.parametrize("face", ["Pool", "AsyncPool"])
def test_unguarded_script(monkeypatch: pytest.MonkeyPatch, face: str) -> None:
    worker = types.SimpleNamespace(loading_main=True, loading_module=None)
    monkeypatch.setitem(sys.modules, "snakepit_bridge._worker", worker)
    with pytest.raises(AdapterSourceError) as caught:
        getattr(snakepit, face)("other:Adapter", size=1)
    assert 'if __name__ == "__main__":' in str(caught.value)


def test_unguarded_module(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = types.SimpleNamespace(loading_main=False, loading_module=Adapter.__module__)
    monkeypatch.setitem(sys.modules, "snakepit_bridge._worker", worker)
    for adapter in (Adapter, f"{Adapter.__module__}:Adapter"):
        with pytest.raises(AdapterSourceError, match="__main__"):
            adapter_source(adapter)
    assert adapter_source("another:Adapter").kind == "module", "a pool of its own is fine"


def test_a_program_is_found_in_path_and_keeps_its_arguments() -> None:
    source = adapter_source(Program("sh", "-c", "exit 3"))
    assert source.kind == "program"
    assert source.command == (shutil.which("sh"), "-c", "exit 3")
    assert repr(Program(Path("/bin/sh"), "-c")) == "Program('/bin/sh', '-c')"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("no-such-program", "there is no program no-such-program in PATH"),
        ("/no/such/program", "there is no program /no/such/program there"),
        ("node worker.js", "pass its words one by one: 'node', 'worker.js'"),
        ("/", "/ is a folder, not a program"),
        (__file__, f"cannot be executed; mend it with `chmod +x {__file__}`"),
    ],
)
def test_a_program_that_cannot_run_is_refused(program: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adapter_source(Program(program))
    assert said in str(caught.value)
    assert caught.value.field == "adapter"


@pytest.mark.parametrize(
    "options", [{"pythonpath": ["."]}, {"line": "native"}, {"line": "auto"}], ids=str
)
def test_what_has_no_effect_on_a_program_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a Program") as caught:
        snakepit.Pool(Program("sh"), size=1, **options)
    assert caught.value.field == next(iter(options))


def test_the_python_of_a_program_is_for_its_shim() -> None:
    with pytest.raises(StartError, match="runs the shim of a Program"):
        snakepit.Pool(Program("sh"), size=1, python="/no/such/python")


@pytest.mark.parametrize("words", [("",), ("sh", "a\0b"), (3,), ("sh", None)])
def test_a_command_is_words(words: tuple) -> None:
    with pytest.raises(ConfigError, match="a command is words"):
        Program(*words)


def test_a_program_has_no_inline() -> None:
    with pytest.raises(ConfigError, match="inline"):
        adapter_source(Program("sh"), inline=True)
