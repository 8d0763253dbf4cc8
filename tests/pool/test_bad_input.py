"""Bad input gets a clear error and costs nothing else: the table of issue 4, row by row.

Left out here, each with a file of its own: death, closed and forked pools, scripts, interpreters.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

import snakepit
from snakepit import (
    AdapterSourceError,
    ConfigError,
    EncodeError,
    MessageTooLarge,
    RemoteError,
    StartError,
    ToolNotFound,
)

from .conftest import Host, marked_processes, until


@pytest.fixture
def one(make_pool: Any) -> Any:
    """A pool of one worker, which must be the same at the end."""
    pool = make_pool(size=1, max_message=100_000)
    pool.await_ready(60)
    before = pool.execute("pid")
    yield pool
    assert pool.execute("pid") == before, "the worker lives"
    assert pool.stats().worker_deaths == 0


# --- calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["execute", "stream"])
def test_unknown_tool(one: Any, verb: str) -> None:
    with pytest.raises(ToolNotFound) as caught:
        one.execute("pign") if verb == "execute" else list(one.execute_stream("pign"))
    assert caught.value.tool == "pign"
    assert "ping" in list(caught.value.suggestions)
    assert "ping" in str(caught.value)
    assert caught.value.may_have_run is False


@pytest.mark.parametrize("args", [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"x": 1}, None], ids=str)
def test_wrong_or_missing_arguments(one: Any, args: Any) -> None:
    with pytest.raises(TypeError) as caught:
        one.execute("add", args)
    assert isinstance(caught.value, RemoteError)
    assert "add" in str(caught.value)


@pytest.mark.parametrize("kind", ["ValueError", "KeyError", "OSError", "ZeroDivisionError"])
def test_exception_in_a_tool(one: Any, kind: str) -> None:
    with pytest.raises(RemoteError) as caught:
        one.execute("fail", {"kind": kind, "text": "what went wrong"})
    error = caught.value
    assert isinstance(error, getattr(__import__("builtins"), kind))
    assert (error.type_name, error.tool) == (kind, "fail")
    assert "what went wrong" in (error.remote_message or "")
    assert "adapters.py" in (error.remote_traceback or "")
    assert "in fail" in (error.remote_traceback or "")
    assert "what went wrong" in str(error)
    assert "adapters.py" in str(error), "the text shows the worker's traceback"
    assert error.may_have_run is True
    assert str(error.worker) == "default/0"


def test_exception_that_the_host_does_not_know(one: Any) -> None:
    with pytest.raises(RemoteError) as caught:
        one.execute("fail_of_its_own")
    assert type(caught.value) is RemoteError
    assert caught.value.type_name == "pool.adapters.OwnError"


@pytest.mark.parametrize("tool", ["leave"])
def test_system_exit_is_a_failure_like_any_other(one: Any, tool: str) -> None:
    with pytest.raises(RemoteError) as caught:
        one.execute(tool)
    assert caught.value.type_name == "SystemExit"


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"value": {"model": {"layers": [1, 2, object()]}}}, '["model"]["layers"][2]'),
        ({"value": {1, 2}}, "value"),
        ({"value": [b"x", "\ud800"]}, "[1]"),
    ],
    ids=["object", "set", "surrogate"],
)
def test_argument_that_cannot_travel(one: Any, args: Any, path: str) -> None:
    requests = one.stats().completed
    for start in (one.execute, one.submit, one.execute_stream):
        with pytest.raises(EncodeError) as caught:
            start("echo", args)
        assert path in (caught.value.path or "")
        assert path in str(caught.value)
        assert caught.value.may_have_run is False
    assert one.stats().completed == requests, "nothing was sent"


def test_result_that_cannot_travel(one: Any) -> None:
    with pytest.raises(EncodeError) as caught:
        one.execute("unspeakable")
    assert '["layers"][1]' in str(caught.value)
    assert caught.value.may_have_run is True


@pytest.mark.parametrize("args", [{1: 2}, {"value": 1, 2: 3}])
def test_arguments_with_other_keys_than_names(one: Any, args: Any) -> None:
    with pytest.raises((EncodeError, TypeError)):
        one.execute("echo", args)


@pytest.mark.parametrize("args", [[1], "value", 7])
def test_arguments_that_are_no_mapping(one: Any, args: Any) -> None:
    with pytest.raises((EncodeError, TypeError)):
        one.execute("echo", args)


@pytest.fixture
def in_messages(make_pool: Any) -> Any:
    """One worker to which all goes in messages."""
    return make_pool(size=1, max_message=100_000, shared_memory=None)


def test_arguments_above_the_limit(in_messages: Any) -> None:
    one = in_messages
    for start in (one.execute, one.submit):
        with pytest.raises(MessageTooLarge) as caught:
            start("echo", {"value": bytes(200_000)})
        error = caught.value
        assert error.size is not None
        assert error.size >= 200_000
        assert (error.limit, error.may_have_run) == (100_000, False)
        assert "100000" in str(error)
        assert str(error.size) in str(error)


def test_texts_have_the_limit_whatever_memory_there_is(one: Any) -> None:
    with pytest.raises(MessageTooLarge):
        one.execute("echo", {"value": "a" * 200_000})


def test_result_above_the_limit(in_messages: Any) -> None:
    one = in_messages
    with pytest.raises(MessageTooLarge) as caught:
        one.execute("large", {"size": 200_000})
    assert (caught.value.size or 0) >= 200_000
    assert (caught.value.limit, caught.value.may_have_run) == (100_000, True)
    with pytest.raises(MessageTooLarge):
        list(one.execute_stream("blobs", {"number": 1, "size": 200_000}))
    assert one.execute("large", {"size": 90_000}) == bytes(90_000), "the line lives"


def test_negative_timeout(one: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        one.execute("ping", timeout=-1)
    assert caught.value.field == "timeout"


# --- configuration: no process is started for it ------------------------------------------------


@pytest.mark.parametrize(
    ("options", "field", "suggestion"),
    [
        ({"size": 0}, "size", "1"),
        ({"size": -3}, "size", "1"),
        ({"size": 1, "timeout": -1}, "timeout", None),
        ({"size": 1, "sise": 2}, "sise", "size"),
        ({"size": 1, "worker_ouput": "drop"}, "worker_ouput", "worker_output"),
        ({"size": 1, "affinity": "strict"}, "affinity", "strict_queue"),
    ],
    ids=str,
)
def test_configuration(options: Any, field: str, suggestion: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool("pool.adapters:Basic", **options)
    assert (caught.value.field, caught.value.suggestion) == (field, suggestion)


def test_adapter_args_that_cannot_travel() -> None:
    with (
        pytest.raises((EncodeError, StartError)),
        snakepit.Pool("pool.adapters:Basic", size=1, adapter_args={"greeting": object()}) as pool,
    ):
        pool.await_ready(30)


# --- start --------------------------------------------------------------------------------------


def start_error(make_pool: Any, adapter: Any, within: float = 60.0, **options: Any) -> StartError:
    """The error of a pool that cannot start; a call tells the same, and nothing is left."""
    begin = time.monotonic()
    pool = make_pool(adapter, **{"size": 1, **options})
    with pytest.raises(StartError) as caught:
        pool.await_ready(within)
    assert time.monotonic() - begin < within
    with pytest.raises(StartError):
        pool.execute("ping", timeout=within)
    assert caught.value.may_have_run is False
    return caught.value


def test_adapter_module_that_does_not_exist(make_pool: Any) -> None:
    error = start_error(make_pool, "no_such_module:Adapter")
    assert isinstance(error, AdapterSourceError)
    assert "no_such_module" in str(error)


def test_adapter_class_that_does_not_exist(make_pool: Any) -> None:
    error = start_error(make_pool, "pool.adapters:Basics")
    assert isinstance(error, AdapterSourceError)
    assert "Basic" in str(error)


def test_adapter_module_that_raises(make_pool: Any, host: Host) -> None:
    host.write("import json\nraise LookupError('half a module')\n", "broken_module.py")
    error = start_error(make_pool, "broken_module:Adapter", pythonpath=[host.directory])
    assert "half a module" in str(error)
    assert "broken_module.py" in str(error), "with the remote traceback"


@pytest.mark.parametrize(
    ("adapter", "options", "text", "where"),
    [
        ("FailsToInitialize", {}, "weights.bin", "in initialize"),
        ("FailsToConstruct", {"adapter_args": {"path": "/dev/model"}}, "/dev/model", "in __init__"),
        # Raised by the call itself: no frame of the adapter has anything to say about it.
        ("Basic", {"adapter_args": {"greetings": "x"}}, "greetings", "TypeError: Basic.__init__()"),
    ],
)
def test_adapter_that_raises(
    make_pool: Any, adapter: str, options: Any, text: str, where: str
) -> None:
    error = start_error(make_pool, f"pool.adapters:{adapter}", **options)
    assert text in str(error)
    assert where in (error.remote_traceback or "")


def test_adapter_that_hangs(make_pool: Any) -> None:
    error = start_error(make_pool, "pool.adapters:HangsInInitialize", start_timeout=1.0)
    assert "downloading for a very long time" in str(error), "the last lines of stderr"


def test_adapter_that_dies(make_pool: Any) -> None:
    error = start_error(make_pool, "pool.adapters:DiesInInitialize")
    assert "cannot open the device" in str(error)
    assert "9" in str(error), "the exit code"


def test_a_class_without_tools(make_pool: Any) -> None:
    assert "tool" in str(start_error(make_pool, "collections:OrderedDict"))


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["tool", "session"])
@pytest.mark.parametrize("verb", ["execute", "submit", "execute_stream"])
@pytest.mark.parametrize("text", ["\ud800", "x" * 200_000], ids=["surrogate", "long"])
def test_a_name_that_cannot_travel(make_pool: Any, field: str, verb: str, text: str) -> None:
    pool = make_pool(size=1, max_message=2048)
    before = pool.execute("pid")

    def use() -> None:
        tool, session = (text, None) if field == "tool" else ("count", text)
        args = {"upto": 1} if field == "session" else None
        answer = getattr(pool, verb)(tool, args, session=session, timeout=20)
        if verb == "submit":
            answer.result(30)
        elif verb == "execute_stream":
            list(answer)

    with pytest.raises((ConfigError, MessageTooLarge)) as caught:
        use()
    assert caught.value.may_have_run is False
    assert len(str(caught.value)) < 1000, "the message does not repeat it all"
    if text == "\ud800":
        assert getattr(caught.value, "field", None) == field
    assert pool.execute("pid", timeout=30) == before
    assert pool.stats().worker_deaths == 0


def test_adapter_args_above_the_limit() -> None:
    with pytest.raises((ConfigError, MessageTooLarge)):
        snakepit.Pool(
            "pool.adapters:Basic",
            size=1,
            max_message=2048,
            adapter_args={"greeting": "x" * 200_000},
        ).close(drain=0)


@pytest.mark.parametrize("where", ["pythonpath", "sys.path"])
def test_too_many_directories(make_pool: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    many = [f"/{'x' * 100}/{number}" for number in range(3000)]
    if where == "sys.path":
        monkeypatch.setattr(sys, "path", sys.path + many)
        many = []
    with pytest.raises(StartError, match=r"pythonpath|sys\.path|sys_path"):
        make_pool(pythonpath=many).await_ready(30)
    until(lambda: not marked_processes(), "nothing is left, no zombie either", seconds=10)
