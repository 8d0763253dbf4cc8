"""The circuit breaker: what opens and closes it, what does not count, and that it cannot stick."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import snakepit
from snakepit import CircuitBreaker, CircuitOpen, ConfigError, _core

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "CircuitBreaker"), reason="the states are the native half's: make build"
)


class Boom(Exception):
    pass


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Boom):
            breaker.call(boom)


def boom() -> None:
    raise Boom


def half_open(**options: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=0, **options)
    fail(breaker)
    assert breaker.state == "half_open"
    return breaker


def test_the_seeds_snippet() -> None:
    breaker = CircuitBreaker(failure_threshold=5, reset_timeout=30.0)
    for _ in range(5):
        assert breaker.state == "closed"
        fail(breaker)
    assert breaker.state == "open"
    with pytest.raises(CircuitOpen) as caught:
        breaker.call(boom)
    assert 0 < caught.value.retry_after <= 30
    assert caught.value.may_have_run is False


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    for _ in range(5):
        fail(breaker)
        assert breaker.call(lambda: 42) == 42
    assert breaker.state == "closed"


def test_it_turns_half_open_by_itself_and_a_success_closes_it() -> None:
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=0.05)
    fail(breaker)
    until = time.monotonic() + 30
    while breaker.state == "open" and time.monotonic() < until:
        time.sleep(0.01)
    assert breaker.state == "half_open"
    assert breaker.call(lambda: "well") == "well"
    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_again() -> None:
    breaker = half_open()
    opened = breaker.stats().total_opened
    fail(breaker)
    assert breaker.stats().total_opened == opened + 1


def test_arguments_reach_the_function() -> None:
    assert CircuitBreaker().call(lambda a, *, b: (a, b), 1, b=2) == (1, 2)


def test_the_window_opens_at_the_rate_and_not_before_enough_calls() -> None:
    breaker = CircuitBreaker(window=10, minimum_calls=4, failure_rate=0.5)
    fail(breaker, 2)
    breaker.call(lambda: None)
    assert breaker.state == "closed", "two of three, but four are needed"
    breaker.call(lambda: None)
    assert breaker.state == "open"


@pytest.mark.parametrize(
    "gave_up",
    [
        KeyboardInterrupt,
        SystemExit,
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        snakepit.Cancelled,
    ],
)
def test_who_gives_up_says_nothing(gave_up: type[BaseException]) -> None:
    def give_up() -> None:
        raise gave_up

    closed, probing = CircuitBreaker(failure_threshold=1), half_open()
    for breaker in (closed, probing):
        before = breaker.state
        for _ in range(3):  # a probe's place that was not given back would refuse the next one
            with pytest.raises(gave_up):
                breaker.call(give_up)
        assert breaker.state == before
        assert breaker.stats().probes == 0


@pytest.mark.parametrize(
    "exclude", [Boom, (KeyError, Boom), [Boom], lambda error: isinstance(error, Boom)]
)
def test_what_is_excluded_is_neither_failure_nor_success(exclude: Any) -> None:
    breaker = CircuitBreaker(failure_threshold=2, exclude=exclude)
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    fail(breaker, 5)
    assert breaker.stats().failures == 1, "the row is neither longer nor broken"
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    assert breaker.state == "open"


def test_a_predicate_that_raises_keeps_no_place() -> None:
    def exclude(error: Exception) -> bool:
        if armed:
            raise KeyError("mine")
        return False

    armed = False
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=0, exclude=exclude)
    fail(breaker)
    armed = True
    with pytest.raises(KeyError):
        breaker.call(boom)
    assert breaker.stats().probes == 0
    assert breaker.call(lambda: 1) == 1


def test_a_permit_is_a_block_whose_end_is_the_verdict() -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    with breaker.permit():
        pass
    with pytest.raises(Boom), breaker.permit():
        boom()
    with breaker.permit() as permit:
        permit.failure()  # the function said so by what it returned
    assert breaker.state == "open"
    assert breaker.stats().total_successes == 1


def test_a_permit_that_nobody_used_gives_its_place_back() -> None:
    breaker = half_open()
    permit = breaker.permit()
    assert not breaker.allows()
    with pytest.raises(CircuitOpen) as caught:
        breaker.permit()
    assert caught.value.retry_after == 0
    del permit
    gc.collect()
    assert breaker.allows()


def test_late_verdicts_do_not_count() -> None:
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=3600)
    slow_failure, slow_success = breaker.permit(), breaker.permit()
    fail(breaker)
    slow_success.success()
    assert breaker.state == "open"
    breaker.reset()
    slow_failure.failure()
    assert breaker.state == "closed"


def test_it_decorates_functions_and_coroutine_functions() -> None:
    breaker = CircuitBreaker(failure_threshold=2)

    @breaker
    def plain(value: int) -> int:
        """Divide."""
        return 10 // value

    @breaker
    async def coroutine(value: int) -> int:
        await asyncio.sleep(0)
        return 10 // value

    assert (plain.__name__, plain.__doc__) == ("plain", "Divide.")
    assert plain(5) == 2
    assert asyncio.run(coroutine(value=2)) == 5
    with pytest.raises(ZeroDivisionError):
        plain(0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(coroutine(0))
    with pytest.raises(CircuitOpen):
        plain(1)
    with pytest.raises(CircuitOpen):
        asyncio.run(coroutine(1))


def test_a_generator_function_is_refused() -> None:
    with pytest.raises(TypeError, match="permit"):

        @CircuitBreaker()
        def chunks() -> Any:
            yield 1


def test_the_wrong_twin_is_named_and_does_not_count() -> None:
    async def coroutine() -> None: ...

    breaker = CircuitBreaker(failure_threshold=1)
    with pytest.raises(TypeError, match="acall"):
        breaker.call(coroutine)
    with pytest.raises(TypeError, match=r"CircuitBreaker\.call"):
        asyncio.run(breaker.acall(lambda: 1))  # type: ignore[arg-type,return-value]
    assert breaker.state == "closed"
    assert breaker.stats().total_successes == 0


def test_a_task_that_is_cancelled_in_a_probe_frees_its_place() -> None:
    async def main() -> None:
        breaker = half_open()
        entered = asyncio.Event()

        async def hang() -> None:
            entered.set()
            await asyncio.Event().wait()

        probe = asyncio.create_task(breaker.acall(hang))
        await entered.wait()
        assert not breaker.allows()
        with pytest.raises(CircuitOpen):
            await breaker.acall(hang)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert breaker.state == "half_open"
        assert await breaker.acall(asyncio.sleep, 0, "well") == "well"
        assert breaker.state == "closed"

    asyncio.run(main())


def test_threads_that_hammer_it_get_no_more_probes_than_there_are_places() -> None:
    places, threads = 2, 16
    breaker = half_open(half_open_max_calls=places)
    lock, start, inside, most = threading.Lock(), threading.Barrier(threads), 0, 0
    probes, refusals = 0, 0

    def probe() -> None:
        nonlocal inside, most, probes
        with lock:
            inside += 1
            most = max(most, inside)
            probes += 1
        time.sleep(0.001)
        with lock:
            inside -= 1
        raise KeyboardInterrupt  # no verdict, so it stays half open

    def hammer() -> None:
        nonlocal refusals
        start.wait()
        for _ in range(200):
            try:
                breaker.call(probe)
            except CircuitOpen:
                with lock:
                    refusals += 1
            except KeyboardInterrupt:
                pass

    hammering = [threading.Thread(target=hammer) for _ in range(threads)]
    for thread in hammering:
        thread.start()
    for thread in hammering:
        thread.join()
    assert 1 <= most <= places
    assert probes + refusals == threads * 200
    assert breaker.stats().probes == 0
    assert breaker.call(lambda: "well") == "well"
    assert breaker.state == "closed"


def test_stats_count_and_a_reset_closes() -> None:
    breaker = CircuitBreaker(failure_threshold=2, reset_timeout=timedelta(hours=1), name="api")
    breaker.call(lambda: None)
    fail(breaker, 2)
    with pytest.raises(CircuitOpen, match="'api'"):
        breaker.call(boom)
    stats = breaker.stats()
    counts = (stats.total_successes, stats.total_failures, stats.total_refused, stats.total_opened)
    assert counts == (1, 2, 1, 1)
    assert repr(breaker) == "<CircuitBreaker 'api': open>"
    breaker.reset()
    assert breaker.state == "closed"
    assert breaker.call(lambda: 1) == 1


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("failure_threshold", lambda: CircuitBreaker(failure_threshold=0)),
        ("failure_threshold", lambda: CircuitBreaker(failure_threshold=True)),
        ("failure_threshold", lambda: CircuitBreaker(failure_threshold=2**32)),
        ("reset_timeout", lambda: CircuitBreaker(reset_timeout=-1)),
        ("half_open_max_calls", lambda: CircuitBreaker(half_open_max_calls=0)),
        ("window", lambda: CircuitBreaker(window=10**6)),
        ("minimum_calls", lambda: CircuitBreaker(window=10, minimum_calls=11)),
        ("failure_rate", lambda: CircuitBreaker(window=10, failure_rate=50)),
        ("failure_rate", lambda: CircuitBreaker(window=10, failure_rate=float("nan"))),
        ("failure_rate", lambda: CircuitBreaker(window=10, failure_rate="half")),  # type: ignore[arg-type]
        ("exclude", lambda: CircuitBreaker(exclude="ValueError")),  # type: ignore[arg-type]
        ("exclude", lambda: CircuitBreaker(exclude=int)),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_is_named(field: str, make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field
