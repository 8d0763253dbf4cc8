"""Functions with a limit, behind a breaker, and many at once: none harms another."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from snakepit import CallTimeout, CircuitBreaker, CircuitOpen, ConfigError, _core, executor
from snakepit.executor import (
    aexecute_batch,
    aexecute_with_protection,
    aexecute_with_timeout,
    execute_batch,
    execute_with_protection,
    execute_with_timeout,
)

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "CircuitBreaker"), reason="what is decided is the native half's: make build"
)

# Long enough for any machine; nothing waits for it that works.
AGES = 60.0


class Boom(Exception):
    pass


def boom() -> Any:
    raise Boom


async def aboom() -> Any:
    raise Boom


@pytest.fixture
def never() -> Iterator[Callable[[], bool]]:
    """A function that blocks until the test is over, so that it leaves no thread."""
    over = threading.Event()
    yield lambda: over.wait(AGES)
    over.set()


async def anever() -> None:
    await asyncio.Event().wait()


def test_the_seeds_snippets() -> None:
    assert executor.execute_with_timeout(lambda: "slow", timeout=5) == "slow"
    breaker = CircuitBreaker()
    assert executor.execute_with_protection(breaker, lambda: "risky", max_attempts=3) == "risky"
    outcomes = executor.execute_batch([lambda: 1, lambda: 2, lambda: 3], max_concurrency=2)
    assert [outcome.result() for outcome in outcomes] == [1, 2, 3]


# --- a limit --------------------------------------------------------------------------------------


def test_a_caller_is_freed_from_a_function_that_does_not_end(never: Callable[[], bool]) -> None:
    with pytest.raises(CallTimeout) as caught:
        execute_with_timeout(never, timeout=0.05)
    error = caught.value
    assert (error.timeout, error.step, error.may_have_run) == (0.05, "running", True)


def test_what_the_function_raises_passes_through_whatever_it_is() -> None:
    for error in (Boom(), KeyboardInterrupt(), SystemExit(3), TimeoutError("its own")):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            execute_with_timeout(fail, timeout=AGES)
        assert caught.value is error


def test_the_function_sees_the_callers_context() -> None:
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("mine")
    assert execute_with_timeout(variable.get, timeout=AGES) == "mine"
    assert execute_batch([variable.get])[0].value == "mine"


def test_a_function_that_was_left_behind_does_not_keep_the_interpreter() -> None:
    code = (
        "import snakepit, time\n"
        "try: snakepit.executor.execute_with_timeout(lambda: time.sleep(3600), timeout=0.05)\n"
        "except snakepit.CallTimeout: print('free')\n"
        "out = snakepit.executor.execute_batch([lambda: time.sleep(3600)] * 3, timeout=0.05)\n"
        "print(*{type(o.error).__name__ for o in out})"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["free", "CallTimeout"]


def test_ctrl_c_ends_the_wait_and_begins_nothing_more(never: Callable[[], bool]) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    begun = []
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            execute_with_timeout(never, timeout=AGES)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            execute_batch([never, lambda: begun.append(1)], max_concurrency=1)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert begun == []


def test_a_coroutine_is_cancelled_at_its_limit() -> None:
    ended = []

    async def hang() -> None:
        try:
            await anever()
        finally:
            ended.append(True)

    async def main() -> None:
        with pytest.raises(CallTimeout):
            await aexecute_with_timeout(hang, timeout=0.05)
        assert ended == [True]
        assert await aexecute_with_timeout(lambda: asyncio.sleep(0, 7), timeout=AGES) == 7
        with pytest.raises(TimeoutError, match="its own") as caught:
            await aexecute_with_timeout(own_timeout, timeout=AGES)
        assert not isinstance(caught.value, CallTimeout)

    async def own_timeout() -> None:
        raise TimeoutError("its own")

    asyncio.run(main())


def test_the_wrong_twin_is_named() -> None:
    with pytest.raises(TypeError, match="aexecute_with_timeout"):
        execute_with_timeout(anever, timeout=AGES)
    with pytest.raises(TypeError, match="use execute_with_timeout"):
        asyncio.run(aexecute_with_timeout(lambda: 1, timeout=AGES))  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="aexecute_batch"):
        execute_batch([anever])[0].result()
    with pytest.raises(TypeError, match="use execute_batch"):
        asyncio.run(aexecute_batch([lambda: 1]))[0].result()  # type: ignore[list-item,return-value]


def test_an_error_is_let_go_without_the_collector() -> None:
    gone: list[weakref.ref[Boom]] = []

    def fail() -> None:
        error = Boom()
        gone.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        with pytest.raises(Boom) as caught:
            execute_with_timeout(fail, timeout=AGES)
        del caught
        until = time.monotonic() + AGES
        while gone[0]() is not None and time.monotonic() < until:
            time.sleep(0.01)  # the thread that raised it may be ending still
        assert gone[0]() is None
    finally:
        gc.enable()


# --- behind a breaker -----------------------------------------------------------------------------


def test_each_attempt_asks_the_breaker_and_a_refusal_hides_no_error() -> None:
    breaker, made = CircuitBreaker(failure_threshold=2), []

    def fail() -> None:
        made.append(1)
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down") as caught:
        execute_with_protection(breaker, fail, max_attempts=9, backoff=[0])
    assert len(made) == 2
    assert isinstance(caught.value.__cause__, CircuitOpen)
    with pytest.raises(CircuitOpen) as refused:
        execute_with_protection(breaker, fail, max_attempts=9, backoff=[0])
    assert len(made) == 2
    assert refused.value.may_have_run is False


def test_protection_of_a_coroutine_function() -> None:
    async def main() -> None:
        breaker, errors = CircuitBreaker(), [ConnectionError()]

        async def flaky() -> str:
            if errors:
                raise errors.pop()
            return "well"

        assert await aexecute_with_protection(breaker, flaky, backoff=[0]) == "well"
        stats = breaker.stats()
        assert (stats.total_failures, stats.total_successes) == (1, 1)

    asyncio.run(main())


def test_a_cancel_between_attempts_ends_them() -> None:
    async def main() -> None:
        failed = asyncio.Event()

        async def fail() -> None:
            failed.set()
            raise ConnectionError

        call = aexecute_with_protection(CircuitBreaker(), fail, backoff=[3600], jitter=False)
        task = asyncio.create_task(call)
        await failed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


# --- many at once ---------------------------------------------------------------------------------


def test_a_slow_or_raising_function_harms_no_other(never: Callable[[], bool]) -> None:
    fns = [never, boom, lambda: "well", lambda: sys.exit(3), never, lambda: "too"]
    outcomes = execute_batch(fns, max_concurrency=2, timeout_each=0.1)
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [CallTimeout, Boom, type(None), SystemExit, CallTimeout, type(None)]
    assert [outcome.value for outcome in outcomes if outcome.ok] == ["well", "too"]
    with pytest.raises(Boom):
        outcomes[1].result()
    value, error = outcomes[2]
    assert (value, error) == ("well", None)


def test_the_limit_of_the_whole_batch_says_what_had_begun(never: Callable[[], bool]) -> None:
    outcomes = execute_batch([lambda: 1, never, never, lambda: 4], max_concurrency=2, timeout=0.2)
    assert outcomes[0] == (1, None)
    late = [outcome.error for outcome in outcomes[1:]]
    assert [(e.step, e.may_have_run) for e in late if isinstance(e, CallTimeout)] == [
        ("running", True),
        ("running", True),
        ("queued", False),
    ]


def test_no_more_run_at_once_than_may_and_the_order_is_kept() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def turn(n: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return n

    fns = [lambda n=n: turn(n) for n in range(40)]
    outcomes = execute_batch(fns, max_concurrency=3)
    assert [outcome.result() for outcome in outcomes] == list(range(40))
    assert most <= 3


def test_functions_do_run_at_once() -> None:
    meet = threading.Barrier(4, timeout=AGES)
    assert all(outcome.ok for outcome in execute_batch([meet.wait] * 4))


def test_an_empty_batch_is_empty() -> None:
    assert execute_batch([]) == []
    assert asyncio.run(aexecute_batch([])) == []


def test_tasks_harm_no_other() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await anever()
            except asyncio.CancelledError:
                continue

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        fns = [anever, aboom, stubborn, cancelled, lambda: asyncio.sleep(0, "well")]
        outcomes = await aexecute_batch(fns, max_concurrency=2, timeout_each=0.05)
        kinds = [type(outcome.error) for outcome in outcomes]
        assert kinds == [CallTimeout, Boom, CallTimeout, asyncio.CancelledError, type(None)]
        assert outcomes[4].result() == "well"

    asyncio.run(main())


def test_the_limit_of_a_batch_of_tasks() -> None:
    async def main() -> None:
        fns = [lambda: asyncio.sleep(0, 1), anever, anever, aboom]
        outcomes = await aexecute_batch(fns, max_concurrency=2, timeout=0.05)
        assert outcomes[0].result() == 1
        late = [outcome.error for outcome in outcomes[1:]]
        steps = [error.step for error in late if isinstance(error, CallTimeout)]
        assert steps == ["running", "running", "queued"]

    asyncio.run(main())


def test_a_batch_that_is_cancelled_cancels_its_tasks_and_waits_for_their_ends() -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), []

        async def hang() -> None:
            begun.set()
            try:
                await anever()
            finally:
                await asyncio.sleep(0)
                ended.append(True)

        batch = asyncio.create_task(aexecute_batch([hang, hang, hang], max_concurrency=2))
        await begun.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert ended == [True, True], "the third had not begun"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("timeout", lambda: execute_with_timeout(boom, timeout=-1)),
        ("timeout", lambda: execute_batch([boom], timeout=-1)),
        ("timeout_each", lambda: execute_batch([boom], timeout_each="1")),  # type: ignore[arg-type]
        ("max_concurrency", lambda: execute_batch([boom], max_concurrency=0)),
    ],
)
def test_a_wrong_value_is_named(field: str, make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field


def test_a_host_that_needs_none_of_this_does_not_import_it() -> None:
    code = (
        "import sys, snakepit; before = {*sys.modules}; assert snakepit.executor.execute_batch;"
        "print(*sorted({'snakepit.executor', 'snakepit._breaker', 'snakepit._retry',"
        "'snakepit._health', 'snakepit._batch'} & before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_names_are_exported() -> None:
    for name in executor.__all__:
        assert getattr(executor, name).__doc__, name
    assert snakepit.executor is executor
