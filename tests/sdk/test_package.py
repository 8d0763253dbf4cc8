"""The package as a whole: what it exports, that it is light, and that its types hold."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import snakepit_bridge
from snakepit_bridge.errors import DecodeError, EncodeError

PARENT = str(Path(snakepit_bridge.__file__).parent.parent)


def test_the_public_names() -> None:
    named = {name: getattr(snakepit_bridge, name) for name in snakepit_bridge.__all__}
    public = {
        name
        for name, value in vars(snakepit_bridge).items()
        if name[0] != "_" and name != "TYPE_CHECKING" and not inspect.ismodule(value)
    }
    assert public | {"__version__", "telemetry"} == set(named)
    assert set(dir(snakepit_bridge)) >= set(named)
    with pytest.raises(AttributeError, match="'snakepit_bridge' has no attribute 'nothing'"):
        _ = snakepit_bridge.nothing


@pytest.mark.parametrize(
    ("module", "most"), [("snakepit_bridge", 9), ("snakepit_bridge._worker", 25)]
)
def test_importing_stays_light(module: str, most: int) -> None:
    program = f"""
import sys, site
site.main()
sys.path.append({PARENT!r})
before = set(sys.modules)
import {module}
print(*sorted(set(sys.modules) - before))
"""
    command = [sys.executable, "-I", "-S", "-c", program]
    loaded = subprocess.check_output(command, text=True).split()
    heavy = {"asyncio", "inspect", "typing", "re", "functools", "threading", "traceback", "enum"}
    assert not heavy & set(loaded), "each of these costs every worker a millisecond or more"
    assert len(loaded) <= most, loaded


def test_what_few_adapters_use_is_there_without_being_imported_first() -> None:
    program = f"""
import sys
sys.path.append({PARENT!r})
import snakepit_bridge
assert "logging" not in sys.modules and "snakepit_bridge.telemetry" not in sys.modules
assert not hasattr(snakepit_bridge, "nothing")
snakepit_bridge.telemetry.emit("event", {{}})
from snakepit_bridge import *
configure_logging()
assert get_logger("x") is snakepit_bridge.get_logger("x")
"""
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


@pytest.mark.parametrize("error", [EncodeError, DecodeError])
def test_errors_have_the_constructor_that_the_native_end_calls(
    error: type[EncodeError | DecodeError],
) -> None:
    made = error('args["x"]: no', path='args["x"]', type_name="set")
    copy = pickle.loads(pickle.dumps(made))
    assert isinstance(copy, ValueError)
    assert (str(copy), copy.path, copy.type_name) == ('args["x"]: no', 'args["x"]', "set")
    with pytest.raises(TypeError):
        error("no", colour="red")  # type: ignore[call-arg]


TYPED = """
from typing import Any, Iterator
from typing_extensions import assert_type
from snakepit_bridge import BaseAdapter, SessionContext, tool

class Adapter(BaseAdapter):
    def __init__(self, language: str) -> None:
        super().__init__()
    async def initialize(self) -> None: ...
    def cleanup(self) -> None: ...
    @tool
    def bare(self, x: int) -> str:
        return str(x)
    @tool(description="d", supports_streaming=True)
    def streaming(self) -> Iterator[int]:
        yield 1
    @tool
    async def later(self) -> float:
        return 1.0
    @tool
    @staticmethod
    def static(x: int) -> int:
        return x

adapter = Adapter("en")
assert_type(adapter.bare(1), str)
assert_type(adapter.streaming(), Iterator[int])
assert_type(adapter.static(1), int)
assert_type(adapter.session_context, SessionContext)
assert_type(adapter.session_context.remaining(), float | None)
adapter.bare("x")  # type: ignore[arg-type]
Adapter(1)  # type: ignore[arg-type]
tool("name")  # type: ignore[call-overload]
"""


def test_tools_keep_their_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the check of types needs mypy")
    (tmp_path / "typed.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "typed.py"],
        cwd=tmp_path,
        # An installed package is found without help, and mypy refuses to be pointed at it.
        env={"MYPYPATH": "" if "site-packages" in PARENT else PARENT, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
