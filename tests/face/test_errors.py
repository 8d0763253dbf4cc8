"""Errors: fields, text, pickles, and the classes that are built-in ones too."""

from __future__ import annotations

import builtins
import concurrent.futures
import pickle

import pytest

from snakepit import WorkerRef, errors
from snakepit.errors import remote_error

ALL = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.SnakepitError)
]
SAMPLES = {"may_have_run": True, "worker": ("default", 1, 3), "stderr": "last words\n"}

LINKS = {"cause", "context"}
"""Of a remote error: errors themselves, see test_remote_errors.py."""


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_class_takes_a_message_and_its_fields_and_pickles(kind: type) -> None:
    names = kind._fields - LINKS if issubclass(kind, errors.RemoteError) else kind._fields
    fields = {name: SAMPLES.get(name, f"a {name}") for name in names}
    error = kind("what happened", **fields)
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert copy.message == "what happened"
    assert str(copy) == str(error)
    assert str(error).startswith("what happened")
    for name in fields:
        assert getattr(copy, name) == getattr(error, name), name
    assert isinstance(error.may_have_run, bool)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_unknown_fields_are_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="colour"):
        kind("what happened", colour="red")


def test_fields_have_defaults_and_belong_to_their_class() -> None:
    assert errors.QueueFull("full").capacity is None
    assert errors.QueueFull("full").may_have_run is False
    assert errors.RemoteError("raised").may_have_run is True
    with pytest.raises(TypeError):
        errors.QueueFull("full", signal="SIGKILL")
    assert errors.PoisonCall("twice", signal="SIGSEGV").signal == "SIGSEGV", "inherited"
    assert errors.WorkerDied("died").violation is None
    assert errors.PoisonCall("twice", violation="unknown_call").violation == "unknown_call"
    assert errors.AdapterSourceError("no start", violation="no_hello").violation == "no_hello"


def test_the_worker_is_a_reference() -> None:
    error = errors.WorkerDied("died", worker=("gpu", 2, 5), signal="SIGKILL")
    assert error.worker == WorkerRef("gpu", 2, 5)
    assert str(error.worker) == "gpu/2"


def test_the_text_holds_what_the_worker_said() -> None:
    died = errors.WorkerDied("died", worker=("gpu", 2, 5), stderr="Fatal Python error\n")
    assert str(died) == "died\n\nLast lines of worker gpu/2 on stderr:\nFatal Python error"
    failed = errors.StartError("no start", remote_traceback="Traceback …\nOSError: x\n")
    assert str(failed) == "no start\n\nIn the worker:\nTraceback …\nOSError: x"
    assert failed.message == "no start"


def test_what_the_message_says_already_is_not_said_again() -> None:
    failed = errors.StartError("no start: OSError: x", remote_traceback="OSError: x\n")
    assert str(failed) == "no start: OSError: x"


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.ConfigError, ValueError),
        (errors.CallTimeout, TimeoutError),
        (errors.Cancelled, concurrent.futures.CancelledError),
        (errors.EncodeError, ValueError),
        (errors.DecodeError, ValueError),
        (errors.AdapterSourceError, errors.StartError),
        (errors.SessionExpired, errors.SessionLost),
        (errors.PoisonCall, errors.WorkerDied),
    ],
)
def test_the_tree(kind: type, also: type) -> None:
    assert issubclass(kind, also)
    assert issubclass(kind, errors.SnakepitError)


ALLOWED = [
    "ValueError",
    "TypeError",
    "KeyError",
    "IndexError",
    "AttributeError",
    "RuntimeError",
    "NotImplementedError",
    "ZeroDivisionError",
    "OverflowError",
    "ArithmeticError",
    "LookupError",
    "FileNotFoundError",
    "PermissionError",
    "FileExistsError",
    "OSError",
    "MemoryError",
    "RecursionError",
    "AssertionError",
    "UnicodeError",
    "TimeoutError",
    "ConnectionError",
    "ImportError",
    "ModuleNotFoundError",
    "EOFError",
    "BufferError",
    "NameError",
]


@pytest.mark.parametrize("name", ALLOWED)
def test_a_built_in_exception_can_be_caught_by_its_own_class(name: str) -> None:
    error = remote_error(f"{name}: no", type_name=name, remote_message="no", worker=("p", 0, 1))
    assert isinstance(error, getattr(builtins, name))
    assert isinstance(error, errors.RemoteError)
    assert type(error) is getattr(errors, f"Remote{name}")
    assert str(error) == f"{name}: no", "not the repr of it, as KeyError would"
    assert type(pickle.loads(pickle.dumps(error))) is type(error)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("UnicodeDecodeError", errors.RemoteUnicodeError),
        ("BrokenPipeError", errors.RemoteConnectionError),
        ("IsADirectoryError", errors.RemoteOSError),
        ("FloatingPointError", errors.RemoteArithmeticError),
        ("StopIteration", errors.RemoteError),
        ("StopAsyncIteration", errors.RemoteError),
        ("SystemExit", errors.RemoteError),
        ("KeyboardInterrupt", errors.RemoteError),
        ("json.decoder.JSONDecodeError", errors.RemoteError),
        ("my.ValueError", errors.RemoteError),
        ("print", errors.RemoteError),
        ("no such name", errors.RemoteError),
        ("", errors.RemoteError),
    ],
)
def test_other_exceptions_become_the_nearest_ancestor(name: str, kind: type) -> None:
    error = remote_error("raised", type_name=name)
    assert type(error) is kind
    assert error.type_name == name


def test_without_a_type_name_it_is_a_plain_remote_error() -> None:
    assert type(remote_error("raised")) is errors.RemoteError
