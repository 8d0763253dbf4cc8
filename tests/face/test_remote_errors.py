"""What a tool raised, as the host raises it: chains, groups, listed classes, diagnoses."""

from __future__ import annotations

import pickle
import traceback
from typing import Any, Self

import pytest

import snakepit
from snakepit import _remote_error, errors
from snakepit.errors import remote_error


def inner(type_name: str, **fields: Any) -> errors.RemoteError:
    return remote_error(f"{type_name}: inside", type_name=type_name, is_inner=True, **fields)


def copies(error: errors.RemoteError) -> list[errors.RemoteError]:
    """Itself, and as it is after a pickle."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    return [error, copy]


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_a_cause_is_a_field_and_printed() -> None:
    cause = inner("KeyError", remote_traceback="Traceback of the first\n")
    error = remote_error(
        "tool: OSError: outside", type_name="OSError", cause=cause, remote_traceback="the whole\n"
    )
    for each in copies(error):
        assert isinstance(each.cause, KeyError)
        assert each.__cause__ is each.cause
        text = printed(each)
        assert text.index("RemoteKeyError: KeyError: inside") < text.index("direct cause")
        assert text.index("direct cause") < text.index("the whole")
        assert "Traceback of the first" not in text, "the whole text has it"
        assert each.cause.remote_traceback == "Traceback of the first\n"


def test_a_context_is_a_field_and_printed() -> None:
    error = remote_error("outside", context=inner("KeyError"), notes=["a note", "another"])
    for each in copies(error):
        assert each.__cause__ is None
        assert each.__context__ is each.context
        assert each.__notes__ == ["a note", "another"]
        text = printed(each)
        assert "During handling of the above exception" in text
        assert text.count("a note\nanother\n") == 1


def group() -> errors.RemoteError:
    return remote_error(
        "tool: ExceptionGroup: some",
        type_name="ExceptionGroup",
        exceptions=[inner("ValueError"), inner("KeyError"), inner("ValueError")],
        remote_traceback="the whole\n",
        tool="tool",
        worker=("p", 1, 2),
    )


def test_a_group_is_taken_apart() -> None:
    for each in copies(group()):
        taken: list[Any] = []
        try:
            try:
                raise each
            except* ValueError as part:
                taken.append(part)
        except errors.RemoteExceptionGroup as rest:
            taken.append(rest)
        values, rest = taken
        assert [type(member) for member in values.exceptions] == [errors.RemoteValueError] * 2
        assert [type(member) for member in rest.exceptions] == [errors.RemoteKeyError]
        for part in (each, values, rest):
            assert isinstance(part, errors.RemoteError)
            assert isinstance(part, ExceptionGroup)
            assert (part.message, part.tool, part.worker.slot) == (
                "tool: ExceptionGroup: some",
                "tool",
                1,
            )
            assert str(part).endswith("the whole")


def test_a_group_is_a_remote_error_as_a_whole() -> None:
    with pytest.raises(snakepit.RemoteError) as caught:
        raise group()
    assert type(caught.value) is snakepit.RemoteExceptionGroup


@pytest.mark.parametrize(
    ("name", "also"),
    [("RuntimeError", RuntimeError), ("ValueError", ValueError), ("torch.Error", Exception)],
)
def test_a_diagnosis_is_a_class_beside_the_built_in_one(name: str, also: type) -> None:
    fields = {"expected": (2, 3), "got": (4,), "operation": "add"}
    error = remote_error("no", type_name=name, diagnosis=("ShapeMismatch", fields), tool="t")
    for each in copies(error):
        assert isinstance(each, snakepit.ShapeMismatch)
        assert isinstance(each, also)
        assert (each.expected, each.got, each.operation, each.tool) == ((2, 3), (4,), "add", "t")
        assert each.dimension is None
        assert printed(each) == "snakepit.errors.ShapeMismatch: no\n"


def test_diagnoses_have_defaults_and_no_other_fields() -> None:
    assert errors.OutOfMemory("no").suggestions == ()
    assert errors.DeviceMismatch("no", got="cpu").got == "cpu"
    with pytest.raises(TypeError, match="requested"):
        errors.DeviceMismatch("no", requested_bytes=1)


class Quota(ValueError):
    """Not to be called with what comes from a worker."""

    def __new__(cls, *args: Any) -> Self:
        raise AssertionError("made by its constructor")

    def __init__(self, *args: Any) -> None:
        raise AssertionError("made by its constructor")


class Restored(Quota):
    user: str
    limit: int

    def __snakepit_restore__(self, user: str, limit: int) -> None:
        self.user, self.limit = user, limit


@pytest.mark.parametrize("kind", [Quota, Restored])
def test_a_listed_class_is_raised_without_its_constructor(kind: type[Any], make_pool: Any) -> None:
    config = make_pool(errors=[kind])._engine.config
    (name,) = config.errors
    assert name == f"{__name__}:{kind.__name__}"
    error = remote_error(
        "no", type_name="my.Quota", listed=name, remote_args=("ann", 5), cause=inner("KeyError")
    )
    for each in copies(error):
        assert isinstance(each, kind)
        assert isinstance(each, errors.RemoteValueError)
        assert (str(each), each.remote_args) == ("no", ("ann", 5))
        assert isinstance(each.__cause__, KeyError)
        if kind is Restored:
            assert (each.user, each.limit) == ("ann", 5)
        assert f".{kind.__name__}: no" in printed(each)


def test_a_hook_that_fails_is_a_note(make_pool: Any) -> None:
    (name,) = make_pool(errors=[Restored])._engine.config.errors
    error = remote_error("no", listed=name, remote_args=("too", "many", "of them"))
    assert isinstance(error, Restored)
    assert "__snakepit_restore__ raised TypeError" in error.__notes__[0]
    assert remote_error("no", listed=name).remote_args is None, "arguments that did not travel"


def test_a_class_that_no_pool_lists_is_a_plain_error() -> None:
    assert type(remote_error("no", type_name="app.X", listed="app:X")) is errors.RemoteError


class Layout(Exception):
    __slots__ = ("room",)


class OfTheSystem(OSError):
    pass


@pytest.mark.parametrize("kind", [Layout, OfTheSystem, KeyError, UnicodeDecodeError])
def test_classes_of_any_shape_can_be_listed(kind: type[Exception]) -> None:
    name = _remote_error.list_class(kind)
    error = remote_error("no", listed=name)
    assert isinstance(error, kind)
    assert str(error) == "no"


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ("json.JSONDecodeError", 'has not the form "module:Class"'),
        ("json:Nothing", "cannot be imported: AttributeError"),
        ("no_such_module:Error", "cannot be imported: ModuleNotFoundError"),
        ("json:loads", "is no class"),
        (int, "it is no subclass of Exception"),
        (KeyboardInterrupt, "it is no subclass of Exception"),
        (StopIteration, "it means something to Python"),
        (ExceptionGroup, "it means something to Python"),
        (snakepit.QueueFull, "it means something to Python, or to this package"),
        (type("Local", (Exception,), {"__qualname__": "f.<locals>.Local"}), "inside of a function"),
    ],
)
def test_what_cannot_be_listed_is_refused(make_pool: Any, listed: Any, why: str) -> None:
    with pytest.raises(snakepit.ConfigError) as caught:
        make_pool(errors=[listed])
    assert caught.value.field == "errors"
    assert why in str(caught.value)


@pytest.mark.parametrize("listed", ["json:JSONDecodeError", ValueError, 5])
def test_a_list_is_needed(make_pool: Any, listed: Any) -> None:
    with pytest.raises(snakepit.ConfigError, match="a list of classes is needed"):
        make_pool(errors=listed)
