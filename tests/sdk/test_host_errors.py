"""What an adapter meets when a function of the host raised: built of what the host told."""

from __future__ import annotations

import builtins
import pickle
import traceback
from typing import Any

import pytest

from snakepit_bridge import errors
from snakepit_bridge._failure import describe
from snakepit_bridge.errors import HostToolError, HostToolNotFound, host_tool_error


def report(name: str, message: str = "no", text: str = "", **detail: Any) -> Any:
    if not detail:
        return name, message, text, None
    of = {"notes": [], "cause": None, "context": None, "exceptions": [], **detail}
    told = (of["notes"], of["cause"], of["context"], of["exceptions"], None, None)
    return name, message, text, told


def test_a_built_in_exception_is_caught_by_its_own_class() -> None:
    error = host_tool_error(report("ValueError", "wrong", "tb"), "t", prefix="host tool 't': ")
    assert isinstance(error, (HostToolError, ValueError))
    assert type(error) is errors.HostToolValueError
    assert str(error) == "host tool 't': ValueError: wrong"
    assert (error.type_name, error.message, error.traceback) == ("ValueError", "wrong", "tb")
    assert error.tool == "t"


@pytest.mark.parametrize("name", ["my.Odd", "SystemExit", "StopIteration", "print", "int", ""])
def test_what_is_no_built_in_exception_is_a_plain_one(name: str) -> None:
    assert type(host_tool_error(report(name), "t")) is HostToolError


def test_the_nearest_ancestor_counts() -> None:
    assert isinstance(host_tool_error(report("BrokenPipeError"), "t"), ConnectionError)
    assert isinstance(host_tool_error(report("UnicodeDecodeError"), "t"), UnicodeError)
    text = str(host_tool_error(report("KeyError", "'k'"), "t"))
    assert text == "KeyError: 'k'", "and no repr of it"


def test_cause_context_and_notes_are_printed() -> None:
    inner = report("KeyError", "inner", cause=report("OSError", "innermost"))
    error = host_tool_error(report("ValueError", "outer", notes=["a note"], cause=inner), "t")
    assert error.cause is error.__cause__
    assert error.cause is not None
    assert isinstance(error.cause.cause, OSError)
    assert error.__suppress_context__
    assert error.notes == error.__notes__ == ["a note"]
    printed = "".join(traceback.format_exception(type(error), error, None))
    assert "innermost" in printed
    assert "direct cause" in printed
    handled = host_tool_error(report("ValueError", context=report("KeyError")), "t")
    assert handled.context is handled.__context__ is not None


def test_uncaught_it_is_told_with_the_place_in_the_host() -> None:
    place = 'Traceback (most recent call last):\n  File "app.py", line 7, in pay\nValueError: no\n'
    error = host_tool_error(report("ValueError", text=place), "pay")
    _, _, text = describe(type(error), error, None)
    assert text.endswith(f"HostToolValueError: ValueError: no\n\nIn the host tool 'pay':\n{place}")
    missing = HostToolNotFound("no such tool", tool="t")
    assert "In the host tool" not in describe(type(missing), missing, None)[2]


def test_a_group_has_its_members() -> None:
    told = report("ExceptionGroup", "two", exceptions=[report("KeyError"), report("my.Odd")])
    group: Any = host_tool_error(told, "t")
    assert [type(member).__name__ for member in group.exceptions] == [
        "HostToolKeyError",
        "HostToolError",
    ]
    assert str(group).startswith("ExceptionGroup: two")
    builtin = getattr(builtins, "ExceptionGroup", None)  # of Python 3.11
    if builtin is None:
        assert not hasattr(errors, "HostToolExceptionGroup")
        return
    assert isinstance(group, builtin)
    part = group.subgroup(KeyError)
    assert isinstance(part, errors.HostToolExceptionGroup)
    assert (part.tool, len(part.exceptions)) == ("t", 1)


def test_all_of_it_is_pickled() -> None:
    told = report("ValueError", "outer", notes=["n"], cause=report("KeyError", "inner"))
    copy = pickle.loads(pickle.dumps(host_tool_error(told, "t")))
    assert type(copy) is errors.HostToolValueError
    assert (copy.tool, copy.notes, copy.cause.message) == ("t", ["n"], "inner")
    missing = HostToolNotFound("no such tool", tool="t", suggestions=["u"])
    copy = pickle.loads(pickle.dumps(missing))
    assert (str(copy), copy.suggestions) == ("no such tool", ["u"])
    assert isinstance(copy, (LookupError, ValueError))


def test_the_module_has_no_other_names() -> None:
    for name in ("HostToolSystemExit", "HostToolNothing", "nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(errors, name)
