"""Host tools: functions of this program that an adapter calls back, over both ends of the line."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from line.ends import OWN_ENDS, params, worker

import snakepit
from snakepit import CallTimeout, Cancelled, ConfigError, ReentrantCall, RemoteError

from .conftest import Gates, until

ADAPTER = "pool.calling_back:CallsBack"


@pytest.fixture(params=params(OWN_ENDS))
def line(request: pytest.FixtureRequest) -> str:
    """The end of the line that the workers have."""
    worker(*request.param)  # skips where it cannot be had
    return str(request.param[0])


@pytest.fixture
def make(make_pool: Callable[..., Any], line: str) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        pool = make_pool(ADAPTER, line=line, **{"size": 1, **options})
        pool.await_ready(60)  # Limits of time are of the calls, not of the start.
        return pool

    return make


@pytest.fixture
def pool(make: Callable[..., Any]) -> Any:
    pool = make()
    pool.register_tool("echo", lambda value: value)
    return pool


# --- calls ------------------------------------------------------------------------------------


def test_every_form_of_a_call_gets_the_answer(pool: Any) -> None:
    value = {
        "text": "ü",
        "list": [1, 2.5, None],
        "bytes": b"\0\1",
        "day": datetime.date(2026, 1, 2),
    }
    assert pool.execute("every_form", {"value": value}) == [value] * 6


def test_an_array_goes_both_ways(pool: Any) -> None:
    numpy = pytest.importorskip("numpy")
    value = numpy.arange(6, dtype="float32").reshape(2, 3)
    result = pool.execute("back", {"name": "echo", "arguments": {"value": value}})
    assert result.dtype == value.dtype
    assert (result == value).all()


def test_large_values_go_both_ways(pool: Any) -> None:
    value = bytes(range(256)) * 20_000
    assert pool.execute("back", {"name": "echo", "arguments": {"value": value}}) == value


def test_a_function_gets_keywords_or_one_dict(pool: Any) -> None:
    pool.register_tool("whole", lambda arguments: sorted(arguments), params="mapping")
    pool.register_tool("parts", lambda a, b=2: [a, b])
    assert pool.execute("back", {"name": "whole", "arguments": {"x y": 1, "b": 2}}) == ["b", "x y"]
    assert pool.execute("back", {"name": "parts", "arguments": {"a": 1}}) == [1, 2]
    caught = pool.execute("caught", {"name": "parts", "arguments": {"c": 1}})
    assert caught["type_name"] == "TypeError"
    assert "'c'" in caught["message"]


def test_a_coroutine_awaits_many_at_once(pool: Any) -> None:
    assert pool.execute("aback", {"name": "echo", "arguments": {"value": 1}}) == 1
    assert pool.execute("many_at_once", {"count": 100}) == list(range(100))


def test_threads_of_a_tool_call_too(pool: Any) -> None:
    assert pool.execute("many_threads", {"count": 20}) == list(range(20))


def test_an_asynchronous_function_runs_on_a_loop_of_the_pool(pool: Any) -> None:
    import asyncio

    async def slow(value: Any) -> Any:
        await asyncio.sleep(0)
        return [value, threading.current_thread().name]

    pool.register_tool("slow", slow)
    call = {"name": "slow", "arguments": {"value": 7}}
    assert pool.execute("back", call) == [7, "snakepit-host-loop"]
    assert pool.execute("aback", call) == [7, "snakepit-host-loop"]


def test_calls_of_many_workers_are_answered(make: Callable[..., Any]) -> None:
    pool = make(size=2)
    pool.register_tool("echo", lambda value: value)
    futures = [pool.submit("back", {"name": "echo", "arguments": {"value": n}}) for n in range(200)]
    assert [future.result(60) for future in futures] == list(range(200))


def test_a_call_that_has_ended_asks_for_nothing(pool: Any) -> None:
    pool.execute("keep")
    assert "has ended" in pool.execute("too_late")
    assert pool.execute("ping") == "pong", "and the worker has not lied"
    assert pool.stats().worker_deaths == 0


def test_what_cannot_travel_is_told_where_it_is(pool: Any) -> None:
    with pytest.raises(RemoteError, match="value"):
        pool.execute("unfit")
    with pytest.raises(TypeError, match="one map or as keywords"):
        pool.execute("both")
    pool.register_tool("unfit", object)
    caught = pool.execute("caught", {"name": "unfit"})
    assert caught["type_name"].endswith("EncodeError")


# --- registration -----------------------------------------------------------------------------


def test_the_decorator_keeps_the_function_and_takes_options(pool: Any) -> None:
    @pool.tool
    def lookup(key: str) -> str:
        """Finds a word.

        At length.
        """
        return key.upper()

    @pool.tool(name="other", description="Another one.", timeout=5)
    def function() -> None: ...

    assert lookup("a") == "A"
    assert pool.execute("back", {"name": "lookup", "arguments": {"key": "a"}}) == "A"
    listed = {tool.name: tool for tool in pool.host_tools()}
    assert listed["lookup"].description == "Finds a word."
    assert listed["other"][2:5] == ("Another one.", 5.0, False)


def test_an_adapter_lists_what_it_may_use(pool: Any) -> None:
    pool.register_tool("own", lambda: 1, session="s", description="Mine.")
    names, count, has_echo, has_none, described = pool.execute("names")
    assert (names, count, has_echo, has_none) == (["echo"], 1, True, False)
    names, *_, described = pool.execute("names", session="s")
    assert names == ["echo", "own"]
    assert described["own"] == {"description": "Mine.", "streaming": False}


def test_only_what_is_registered_can_be_called(pool: Any) -> None:
    for name in ["ecko", "_core", "__import__", "os.system"]:
        caught = pool.execute("caught", {"name": name})
        assert caught["not_found"]
    caught = pool.execute("caught", {"name": "ecko"})
    assert caught["suggestions"] == ["echo"]
    assert "did you mean 'echo'" in caught["text"]


def test_a_tool_of_a_session_is_for_its_calls(pool: Any) -> None:
    pool.register_tool("secret", lambda: "for s", session="s")
    pool.register_tool("echo", lambda value: ["own", value], session=pool.session("s"))
    call = {"name": "echo", "arguments": {"value": 1}}
    assert pool.execute("back", {"name": "secret"}, session="s") == "for s"
    assert pool.execute("back", call, session="s") == ["own", 1]
    assert pool.execute("back", call, session="t") == 1
    assert pool.execute("caught", {"name": "secret"})["not_found"]
    assert pool.execute("caught", {"name": "secret"}, session="t")["not_found"]
    assert pool.unregister_tool("echo", session="s")
    assert pool.execute("back", call, session="s") == 1


def test_what_is_taken_away_is_not_there(pool: Any) -> None:
    assert pool.unregister_tool("echo")
    assert not pool.unregister_tool("echo")
    assert pool.host_tools() == []
    assert pool.execute("caught", {"name": "echo"})["not_found"]


@pytest.mark.parametrize("name", ["", "_a", "a b", "ä", "x" * 65, "a/b"])
def test_a_name_that_cannot_be_is_refused(pool: Any, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool.register_tool(name, lambda: None)
    assert caught.value.field == "name"


def test_a_registration_that_makes_no_sense_is_refused(pool: Any) -> None:
    with pytest.raises(ConfigError, match="registered"):
        pool.register_tool("echo", lambda: None)
    with pytest.raises(ConfigError, match="params"):
        pool.register_tool("a", lambda: None, params="positional")
    with pytest.raises(ConfigError, match="called"):
        pool.register_tool("a", "not a function")
    with pytest.raises(ConfigError, match="name"):
        pool.register_tool(7, lambda: None)
    assert [tool.name for tool in pool.host_tools()] == ["echo"]


# --- failures ---------------------------------------------------------------------------------


def test_what_a_function_raises_arrives_with_class_message_and_traceback(pool: Any) -> None:
    class Odd(KeyError):
        pass

    def fail() -> None:
        raise ValueError("wrong: ü")

    def odd() -> None:
        raise Odd("key")

    pool.register_tool("fail", fail)
    pool.register_tool("odd", odd)
    caught = pool.execute("caught", {"name": "fail"})
    assert {"ValueError", "HostToolError", "RuntimeError"} <= {*caught["classes"]}
    assert (caught["type_name"], caught["message"]) == ("ValueError", "wrong: ü")
    assert caught["text"] == "host tool 'fail': ValueError: wrong: ü"
    assert 'raise ValueError("wrong: ü")' in caught["traceback"]
    assert "snakepit/_host_tools.py" not in caught["traceback"], "our frames would hide the cause"
    assert pool.execute("caught_as", {"name": "fail", "builtin": "ValueError"})
    caught = pool.execute("caught", {"name": "odd"})
    assert caught["type_name"].endswith("Odd")
    assert "KeyError" not in caught["classes"]


def test_a_failure_that_nobody_catches_comes_out_of_the_call(pool: Any) -> None:
    @pool.tool
    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(RemoteError, match="ValueError: wrong"):
        pool.execute("back", {"name": "fail"})
    with pytest.raises(RemoteError, match="ValueError: wrong"):
        pool.execute("aback", {"name": "fail"})


def test_leaving_the_interpreter_is_a_failure_like_any_other(pool: Any) -> None:
    @pool.tool
    def leave() -> None:
        raise SystemExit(3)

    assert pool.execute("caught", {"name": "leave"})["type_name"] == "SystemExit"
    assert pool.execute("back", {"name": "echo", "arguments": {"value": 1}}) == 1


# --- streams ----------------------------------------------------------------------------------


def test_what_a_generator_yields_is_iterated_over(pool: Any) -> None:
    @pool.tool
    def count(upto: int) -> Iterator[int]:
        yield from range(upto)

    @pool.tool
    async def acount(upto: int) -> Any:
        for number in range(upto):
            yield number

    for name in ["count", "acount"]:
        call = {"name": name, "arguments": {"upto": 5000}}
        assert pool.execute("collect", call) == list(range(5000))
        assert pool.execute("acollect", call) == list(range(5000))
    chunks = pool.execute_stream("pass_on", {"name": "count", "arguments": {"upto": 3000}})
    assert list(chunks) == list(range(3000))
    assert list(pool.execute_stream("apass_on", {"count": 50})) == list(range(50))


def test_a_reader_that_stops_closes_the_generator(pool: Any) -> None:
    closed = threading.Event()

    @pool.tool
    def forever() -> Iterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            made.append(number)
            closed.set()

    made: list[int] = []
    assert pool.execute("collect", {"name": "forever", "upto": 3}) == [0, 1, 2]
    assert closed.wait(30)
    assert made[0] <= 3 * 1024, "it is no more than a window ahead of its reader"


def test_the_wrong_verb_is_named(pool: Any) -> None:
    @pool.tool
    def count() -> Iterator[int]:
        yield 1

    assert "stream_host_tool" in pool.execute("caught", {"name": "count"})["message"]
    with pytest.raises(RemoteError, match="call_host_tool"):
        pool.execute("collect", {"name": "echo", "arguments": {"value": 1}})


def test_a_generator_that_fails_ends_after_its_items(pool: Any) -> None:
    @pool.tool
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(RemoteError, match="broken"):
        pool.execute("collect", {"name": "broken"})


# --- time and cancels -------------------------------------------------------------------------


def test_a_function_sees_its_call_and_the_time_left(pool: Any) -> None:
    @pool.tool
    def about() -> Any:
        call = snakepit.current_call()
        assert call is not None
        return [
            call.name,
            call.caller,
            call.session_id,
            call.depth,
            call.cancelled,
            call.remaining(),
        ]

    assert snakepit.current_call() is None
    *facts, left = pool.execute("back", {"name": "about"}, session="s", timeout=50)
    assert facts == ["about", "back", "s", 1, False]
    assert 0 < left <= 50
    assert pool.execute("back", {"name": "about"}, timeout=None)[-1] is None


def test_the_earlier_of_two_limits_counts(pool: Any) -> None:
    release = threading.Event()
    told = {"short": threading.Event(), "long": threading.Event()}

    def wait() -> None:
        call = snakepit.current_call()
        assert call is not None
        assert call.remaining() is not None
        while not release.is_set():
            if call.cancelled:
                told[call.name].set()
            time.sleep(0.001)

    pool.register_tool("short", wait, timeout=0.05)
    pool.register_tool("long", wait, timeout=500)
    caught = pool.execute("caught", {"name": "short"})
    assert caught["type_name"] == "TimeoutError"
    assert "TimeoutError" in caught["classes"]
    assert told["short"].wait(30), "the function is told"
    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "long"}, timeout=0.1)
    assert told["long"].wait(30)
    # The functions go on, and yet the worker let go of the call in time.
    assert pool.execute("ping") == "pong"
    assert [worker.ref.generation for worker in pool.list_workers()] == [1]
    release.set()
    until(lambda: all(tool.running == 0 for tool in pool.host_tools()), "both return")


def test_a_function_that_never_returns_keeps_nobody(make: Callable[..., Any], gates: Gates) -> None:
    pool = make()
    forever = threading.Event()
    pool.register_tool("stuck", lambda: forever.wait())
    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "stuck"}, timeout=0.1)
    assert [tool.running for tool in pool.host_tools()] == [1], "its thread is accounted for"
    assert pool.execute("ping") == "pong"
    began = time.monotonic()
    pool.close(drain=0)
    assert time.monotonic() - began < 20
    forever.set()


def test_a_cancel_reaches_a_coroutine_of_the_host(pool: Any) -> None:
    import asyncio

    began, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    pool.register_tool("wait", wait)
    for tool in ["back", "aback"]:
        call = pool.submit(tool, {"name": "wait"})
        assert began.wait(30)
        call.cancel()
        with pytest.raises(Cancelled):
            call.result(30)
        assert ended.wait(30)
        began.clear()
        ended.clear()
    until(lambda: pool.execute("ping") == "pong", "the worker goes on")


# --- calls from inside ------------------------------------------------------------------------


def test_a_function_calls_its_own_pool(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def again(left: int) -> Any:
        return pool.execute("chain", {"left": left})

    assert pool.execute("chain", {"left": 1}) == "bottom"
    with pytest.raises(RemoteError, match="ReentrantCall"):
        pool.execute("chain", {"left": 2})
    assert pool.execute("ping") == "pong"


def test_a_pool_of_one_worker_refuses_what_would_wait_for_itself(make: Callable[..., Any]) -> None:
    pool = make()
    refused: list[BaseException] = []

    @pool.tool
    def again(left: int) -> Any:
        for form in (
            lambda: pool.execute("ping", timeout=None),
            lambda: pool.submit("ping", timeout=None).result(),
            lambda: list(pool.execute_stream("apass_on", {"count": 1})),
            lambda: pool.execute("ping", session="s", timeout=None),
        ):
            with pytest.raises(ReentrantCall) as caught:
                form()
            refused.append(caught.value)
        return pool.execute("chain", {"left": left}, timeout=None)

    with pytest.raises(RemoteError, match="ReentrantCall"):
        pool.execute("chain", {"left": 50}, timeout=60)
    assert [error.tool for error in refused] == ["ping", "ping", "apass_on", "ping"]
    assert not any(error.may_have_run for error in refused)
    assert pool.execute("ping") == "pong"


def test_a_session_whose_home_waits_is_refused(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def same_session() -> Any:
        with pytest.raises(ReentrantCall) as caught:
            pool.execute("ping", session="s", timeout=None)
        assert caught.value.session == "s"
        return pool.execute("ping")

    assert pool.execute("back", {"name": "same_session"}, session="s") == "pong"


def test_two_pools_that_call_each_other_end(make: Callable[..., Any]) -> None:
    one, two = make(name="one"), make(name="two")
    one.register_tool("again", lambda left: two.execute("chain", {"left": left}))
    two.register_tool("again", lambda left: one.execute("chain", {"left": left}))
    assert one.execute("chain", {"left": 1}) == "bottom"
    with pytest.raises(RemoteError, match="ReentrantCall"):
        one.execute("chain", {"left": 3})


def test_the_depth_is_limited(make: Callable[..., Any]) -> None:
    pools = [make(name=f"p{n}", host_tool_depth=2) for n in range(4)]
    for this, following in zip(pools, [*pools[1:], pools[0]], strict=True):
        this.register_tool(
            "again", lambda left, following=following: following.execute("chain", {"left": left})
        )
    assert pools[0].execute("chain", {"left": 2}) == "bottom"
    with pytest.raises(RemoteError, match="host_tool_depth allows 2"):
        pools[0].execute("chain", {"left": 3})


def test_calls_from_inside_end_with_the_call_around_them(make: Callable[..., Any]) -> None:
    pool, other = make(), make(name="other")
    inside: list[BaseException] = []
    done = threading.Event()

    @pool.tool
    def outward() -> None:
        try:
            other.execute("sleep", {"seconds": 60}, timeout=None)
        except BaseException as error:
            inside.append(error)
            raise
        finally:
            done.set()

    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "outward"}, timeout=0.3)
    assert done.wait(30)
    assert isinstance(inside[0], (CallTimeout, Cancelled))


def test_many_that_call_back_into_a_small_pool_all_end(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def again(left: int) -> Any:
        return pool.execute("chain", {"left": left})

    futures = [pool.submit("chain", {"left": 1}) for _ in range(60)]
    outcomes = [future.exception(60) for future in futures]
    refused = [error for error in outcomes if error is not None]
    assert all("ReentrantCall" in str(error) for error in refused)
    assert pool.execute("chain", {"left": 1}) == "bottom"
    assert pool.stats().timeouts == 0


# --- asyncio ----------------------------------------------------------------------------------


def test_an_async_pool_runs_coroutines_on_the_loop_that_calls(
    line: str, nothing_left: None
) -> None:
    import asyncio

    async def main() -> list[Any]:
        async with snakepit.AsyncPool(ADAPTER, size=2, line=line, grace=0.3) as pool:
            await pool.await_ready(60)
            loop = asyncio.get_running_loop()

            @pool.tool
            async def where() -> bool:
                return asyncio.get_running_loop() is loop

            @pool.tool
            async def again(left: int) -> Any:
                return await pool.execute("chain", {"left": left})

            results = [await pool.execute(form, {"name": "where"}) for form in ("back", "aback")]
            results.append(await pool.execute("chain", {"left": 1}))
            with pytest.raises(RemoteError, match="ReentrantCall"):
                await pool.execute("chain", {"left": 2})
            calls = (pool.execute("back", {"name": "where"}) for _ in range(50))
            results.append(all(await asyncio.gather(*calls)))
            return results

    assert asyncio.run(main()) == [True, True, "bottom", True]


def test_a_cancelled_task_cancels_what_its_call_called(line: str, nothing_left: None) -> None:
    import asyncio

    async def main() -> bool:
        async with snakepit.AsyncPool(ADAPTER, size=1, line=line, grace=0.3) as pool:
            began, ended = asyncio.Event(), asyncio.Event()

            @pool.tool
            async def wait() -> None:
                began.set()
                try:
                    await asyncio.sleep(3600)
                finally:
                    ended.set()

            task = asyncio.create_task(pool.execute("back", {"name": "wait"}))
            await asyncio.wait_for(began.wait(), 60)
            task.cancel()
            await asyncio.wait_for(ended.wait(), 30)
            return await pool.execute("ping") == "pong"

    assert asyncio.run(main())


def test_a_fork_of_a_worker_asks_nobody(pool: Any) -> None:
    assert "fork" in pool.execute("ask_in_a_fork")
    assert pool.execute("ping") == "pong"
