"""Where an adapter comes from, and every way in which a start can fail."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from snakepit_bridge import _worker

from .conftest import Start
from .fake_core import Host, StartFailed


def refused(host: Host) -> StartFailed:
    with pytest.raises(StartFailed) as caught:
        host.await_ready()
    assert host.drain() == _worker.START_FAILED
    return caught.value


# --- sources that are not there ---------------------------------------------------------------


def test_missing_module_names_the_closest(start: Start, module: Callable[..., str]) -> None:
    module("", "adapter_for_vision")
    failed = refused(start(location="adapter_for_vison"))
    assert (failed.type_name, failed.adapter_source, failed.permanent) == (
        "AdapterSourceError",
        True,
        True,
    )
    assert "no module named 'adapter_for_vison'" in failed.message
    assert "Did you mean 'adapter_for_vision'" in failed.message
    assert sys.executable in failed.message
    assert failed.traceback == ""


def test_missing_submodule_names_its_siblings(start: Start, module: Callable[..., str]) -> None:
    module("", "package_a.adapters")
    failed = refused(start(location="package_a.adapter"))
    assert failed.adapter_source
    assert "'package_a.adapter'" in failed.message
    assert "Did you mean 'adapters'" in failed.message


def test_a_missing_module_says_where_it_was_looked_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*filter(None, sys.path), "/nope"])
    message = refused(start(location="adapter_at_home")).message
    assert f'pythonpath=["{here}"]' in message
    assert "of which these do not exist: '/nope'" in message
    assert "host" not in message.replace(sys.executable, ""), "it need not be a Python"

    monkeypatch.syspath_prepend(str(here))
    message = refused(start(location="adapter_at_home")).message
    assert "pythonpath=[" not in message
    assert "The pool's pythonpath adds folders" in message


def test_a_module_named_like_its_file(start: Start, module: Callable[..., str]) -> None:
    module("", "adapter_file")
    for location in ("adapter_file.py", "adapter_gone.py"):
        message = refused(start(location=location)).message
        assert f"named without '.py': '{location[:-3]}'" in message


def test_missing_class_names_the_closest(start: Start) -> None:
    failed = refused(start("class Model: pass", "Modle"))
    assert failed.adapter_source
    assert "has no class 'Modle'. Did you mean 'Model'?" in failed.message


def test_nested_classes_are_found_and_missed(start: Start) -> None:
    source = """
    from snakepit_bridge import BaseAdapter
    class Outer:
        class Inner(BaseAdapter): pass
    """
    assert start(source, "Outer.Inner").await_ready() == []
    assert (
        "has no class 'Outer.Iner'. Did you mean 'Inner'?"
        in refused(start(source, "Outer.Iner")).message
    )


def test_what_is_no_class_is_refused(start: Start) -> None:
    failed = refused(start("def Adapter(): pass"))
    assert failed.adapter_source
    assert "is a function, not a class" in failed.message


def test_missing_script(start: Start, tmp_path: Path) -> None:
    failed = refused(start(kind="script", location=str(tmp_path / "gone.py")))
    assert (failed.adapter_source, failed.permanent) == (True, True)
    assert "cannot read the script" in failed.message
    assert "No such file" in failed.message


# --- sources that fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import no_such_dependency", "ModuleNotFoundError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_shown_with_its_traceback(
    start: Start, source: str, kind: str
) -> None:
    failed = refused(start(source))
    assert (failed.type_name, failed.adapter_source, failed.permanent) == (kind, False, True)
    assert "adapter_" in failed.traceback
    assert "snakepit_bridge" not in failed.traceback
    assert "importlib" not in failed.traceback


def test_tools_that_break_a_rule_fail_the_start(start: Start) -> None:
    failed = refused(
        start(
            """
            from snakepit_bridge import BaseAdapter, tool
            class Adapter(BaseAdapter):
                @tool
                def _private(self): pass
            """
        )
    )
    assert (failed.adapter_source, failed.permanent) == (False, True)
    assert failed.type_name == "snakepit_bridge.errors.ToolError"


@pytest.mark.parametrize(
    "body",
    [
        "def __init__(self): raise OSError('no device')",
        "def initialize(self): raise OSError('no device')",
        "async def initialize(self): raise OSError('no device')",
    ],
)
def test_an_adapter_that_cannot_start_may_try_again(start: Start, body: str) -> None:
    failed = refused(
        start(
            f"""
            from snakepit_bridge import BaseAdapter
            class Adapter(BaseAdapter):
                {body}
            """
        )
    )
    assert (failed.type_name, failed.message) == ("OSError", "no device")
    assert (failed.adapter_source, failed.permanent) == (False, False)
    assert "raise OSError" in failed.traceback
    assert "snakepit_bridge/" not in failed.traceback


def test_adapter_args_that_do_not_fit(start: Start) -> None:
    failed = refused(
        start(
            "from snakepit_bridge import BaseAdapter\nclass Adapter(BaseAdapter): pass",
            arguments={"colour": "red"},
        )
    )
    assert failed.type_name == "TypeError"
    assert "colour" in failed.message


# --- the host's main file ---------------------------------------------------------------------

SCRIPT = """
import sys
from snakepit_bridge import BaseAdapter, tool, _worker

LOADING = _worker.loading_main

class Point:
    pass

class Adapter(BaseAdapter):
    @tool
    def look(self):
        import __main__
        return {
            "name": __name__,
            "main": __main__.Adapter is Adapter,
            "argv": sys.argv,
            "loading": (LOADING, _worker.loading_main),
            "package": __package__,
        }
    @tool
    def point(self):
        return Point()

if __name__ == "__main__":
    raise AssertionError("the host's program must not run in a worker")
"""


def test_the_class_of_a_script(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    host = start(kind="script", location=str(script))
    host.await_ready()

    assert host.call("look") == {
        "name": "__snakepit_main__",
        "main": True,
        "argv": [str(script), *sys.argv[1:]],
        "loading": (True, False),
        "package": None,
    }
    point = host.call("point")
    assert type(pickle.loads(pickle.dumps(point))) is type(point)


def test_the_class_of_a_module_run_with_m(start: Start, module: Callable[..., str]) -> None:
    module("WORD = 'relative'", "package_b.words")
    module(SCRIPT + "\nfrom .words import WORD\n", "package_b.program")
    host = start(kind="main_module", location="package_b.program")
    host.await_ready()

    seen = host.call("look")
    assert (seen["name"], seen["package"]) == ("__snakepit_main__", "package_b")
    assert seen["loading"] == (True, False)
    assert sys.modules["__main__"].__spec__.name == "package_b.program"


def test_a_missing_main_module(start: Start) -> None:
    for missing in ("package_c.program", "adapter_that_is_gone"):
        failed = refused(start(kind="main_module", location=missing))
        assert failed.adapter_source
        assert "no module named" in failed.message


def test_a_script_that_hides_its_class_behind_the_guard(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("if __name__ == '__main__':\n    class Adapter: pass\n")
    failed = refused(start(kind="script", location=str(script)))
    assert failed.adapter_source
    assert "does not exist in workers; define the class above it" in failed.message


def test_a_script_that_fails_shows_its_own_lines(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("\n\nraise ValueError('at line three')\n")
    failed = refused(start(kind="script", location=str(script)))
    assert (failed.adapter_source, failed.permanent) == (False, True)
    assert f'File "{script}", line 3' in failed.traceback
    assert "snakepit_bridge" not in failed.traceback
    assert not _worker.loading_main


def test_a_module_knows_that_it_is_loaded_as_an_adapter(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, _worker, tool
        LOADING = (_worker.loading_main, _worker.loading_module)
        class Adapter(BaseAdapter):
            @tool
            def look(self): return LOADING, __name__
        """
    )
    host.await_ready()
    (loading_main, loading_module), name = host.call("look")
    assert (loading_main, loading_module) == (False, name)
    assert _worker.loading_module is None
