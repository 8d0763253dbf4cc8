"""Which errors are answered with another attempt, how often, after which pause."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import snakepit
from snakepit import (
    Backoff,
    CallTimeout,
    CircuitOpen,
    ConfigError,
    QueueFull,
    RetryBudget,
    RetryPolicy,
    WorkerDied,
    _core,
)
from snakepit.executor import (
    aexecute_with_retry,
    execute_with_retry,
)

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "RetryPolicy"), reason="what is decided is the native half's: make build"
)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the functions pause for; nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    async def sleep(pause: float) -> None:
        slept.append(pause)

    monkeypatch.setattr("asyncio.sleep", sleep)
    return slept


class Flaky:
    """Raises the errors in turn, then returns how often it was called."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls

    async def coroutine(self) -> int:
        return self()


def test_the_seeds_snippets(pauses: list[float]) -> None:
    policy = RetryPolicy(
        max_attempts=4,
        backoff=[0.1, 0.2, 0.4, 0.8],
        jitter=True,
        retriable=(TimeoutError, ConnectionError),
    )
    flaky = Flaky(TimeoutError(), ConnectionResetError(), ConnectionError())
    assert execute_with_retry(flaky, policy) == 4
    assert all(0 <= pause <= most for pause, most in zip(pauses, [0.1, 0.2, 0.4], strict=True))

    flaky = Flaky(TimeoutError())
    assert execute_with_retry(flaky, max_attempts=3, backoff=[0.1, 0.2, 0.4]) == 2


def test_coroutine_functions_are_retried_too(pauses: list[float]) -> None:
    flaky = Flaky(TimeoutError(), TimeoutError())
    retrying = aexecute_with_retry(flaky.coroutine, backoff=[1, 2], jitter=False)
    assert asyncio.run(retrying) == 3
    assert pauses == [1, 2]


def test_pauses_double_up_to_the_cap(pauses: list[float]) -> None:
    flaky = Flaky(*[TimeoutError() for _ in range(4)])
    backoff = Backoff(base=timedelta(seconds=1), max=5, multiplier=2)
    execute_with_retry(flaky, max_attempts=9, backoff=backoff, jitter=False)
    assert pauses == [1, 2, 4, 5]


@pytest.mark.parametrize(("jitter", "least"), [(True, 0.0), ("full", 0.0), ("equal", 2.0)])
def test_jitter_stays_in_its_bounds(pauses: list[float], jitter: Any, least: float) -> None:
    policy = RetryPolicy(max_attempts=200, backoff=[4], jitter=jitter)
    execute_with_retry(Flaky(*[TimeoutError() for _ in range(150)]), policy)
    assert all(least <= pause < 4 for pause in pauses)
    assert len(set(pauses)) > 100, "spread"


def test_the_last_error_is_the_callers_and_says_why_it_was_the_last(pauses: list[float]) -> None:
    errors = [TimeoutError(str(n)) for n in range(3)]
    with pytest.raises(TimeoutError) as caught:
        execute_with_retry(Flaky(*errors), max_attempts=3)
    assert caught.value is errors[2]
    assert caught.value.__notes__ == ["snakepit: given up after 3 attempts"]
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (QueueFull("busy"), 2),
        (WorkerDied("died", may_have_run=False), 2),
        (WorkerDied("died", may_have_run=True), 1),
        (CallTimeout("late", step="queued"), 2),
        (CallTimeout("late", may_have_run=True), 1),
        (snakepit.PoisonCall("died", may_have_run=False), 1),
        (snakepit.ToolNotFound("what?"), 1),
        (snakepit.Cancelled("never mind"), 1),
        (snakepit.errors.RemoteTimeoutError("a tool's own"), 1),
        (CircuitOpen("open", retry_after=1.0), 1),
        (ConnectionRefusedError(), 2),
        (ValueError(), 1),
    ],
)
def test_a_call_is_run_at_most_once_unless_it_cannot_have_run(error: Exception, tries: int) -> None:
    flaky = Flaky(error)
    if tries == 2:
        assert execute_with_retry(flaky) == 2
    else:
        with pytest.raises(type(error)):
            execute_with_retry(flaky)
        assert flaky.calls == 1


def test_an_idempotent_call_may_run_again() -> None:
    for error in (WorkerDied("died", may_have_run=True), CallTimeout("late", may_have_run=True)):
        assert execute_with_retry(Flaky(error), idempotent=True) == 2


def test_naming_an_error_does_not_allow_a_second_run() -> None:
    flaky = Flaky(WorkerDied("died", may_have_run=True))
    with pytest.raises(WorkerDied) as caught:
        execute_with_retry(flaky, retriable=WorkerDied)
    assert flaky.calls == 1
    assert "idempotent=True" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "retriable", [KeyError, {KeyError, IndexError}, lambda error: "k" in str(error)]
)
def test_what_is_retriable_can_be_said(retriable: Any) -> None:
    assert execute_with_retry(Flaky(KeyError("k")), retriable=retriable) == 2
    flaky = Flaky(TimeoutError())
    with pytest.raises(TimeoutError):
        execute_with_retry(flaky, retriable=retriable)
    assert flaky.calls == 1


@pytest.mark.parametrize("gave_up", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_who_gives_up_is_not_asked_again(gave_up: type[BaseException]) -> None:
    flaky = Flaky(gave_up())
    with pytest.raises(gave_up):
        execute_with_retry(flaky, retriable=lambda error: True)
    assert flaky.calls == 1


def test_no_pause_reaches_the_timeout(pauses: list[float]) -> None:
    flaky = Flaky(TimeoutError(), TimeoutError())
    with pytest.raises(TimeoutError) as caught:
        execute_with_retry(flaky, timeout=50, backoff=[10, 3600], jitter=False)
    assert pauses == [10]
    assert "in time" in caught.value.__notes__[0]


def test_who_refuses_may_say_when_to_come_back(pauses: list[float]) -> None:
    refused = CircuitOpen("open", retry_after=7.5)
    assert execute_with_retry(Flaky(refused), retriable=CircuitOpen, backoff=[0.1]) == 2
    assert pauses == [7.5]


def test_callers_that_share_a_budget_share_its_retries() -> None:
    budget = RetryBudget(capacity=30, retry_cost=10, deposit=4)
    policy = RetryPolicy(max_attempts=2, budget=budget)
    tries = 0
    for _ in range(10):
        flaky = Flaky(TimeoutError(), TimeoutError())
        with pytest.raises(TimeoutError) as caught:
            execute_with_retry(flaky, policy)
        tries += flaky.calls
    assert tries == 10 + 3
    assert "budget" in caught.value.__notes__[0]
    assert budget.tokens == 0
    execute_with_retry(Flaky(), policy)
    assert budget.tokens == 4
    assert repr(budget) == "<RetryBudget: 4 tokens>"


def test_errors_of_earlier_attempts_are_let_go_without_the_collector() -> None:
    class Held(TimeoutError):
        pass

    first = Held()
    gone = weakref.ref(first)
    flaky = Flaky(first)
    del first
    gc.disable()
    try:
        assert execute_with_retry(flaky) == 2
        assert gone() is None
    finally:
        gc.enable()


def test_the_wrong_twin_is_named() -> None:
    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="aexecute_with_retry"):
        execute_with_retry(coroutine)
    with pytest.raises(TypeError, match="execute_with_retry"):
        asyncio.run(aexecute_with_retry(lambda: 1))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("max_attempts", lambda: RetryPolicy(max_attempts=0)),
        ("backoff", lambda: RetryPolicy(backoff=[])),
        ("backoff", lambda: RetryPolicy(backoff=[-1])),
        ("backoff", lambda: RetryPolicy(backoff=3)),  # type: ignore[arg-type]
        ("backoff", lambda: RetryPolicy(backoff="0.1")),  # type: ignore[arg-type]
        ("base", lambda: RetryPolicy(backoff=Backoff(base=2, max=1))),
        ("multiplier", lambda: RetryPolicy(backoff=Backoff(multiplier=0.5))),
        ("jitter", lambda: RetryPolicy(jitter="some")),  # type: ignore[arg-type]
        ("retriable", lambda: RetryPolicy(retriable="timeout")),  # type: ignore[arg-type]
        ("retry_cost", lambda: RetryBudget(capacity=5, retry_cost=6)),
        ("retry_cost", lambda: RetryBudget(retry_cost=0)),
        ("idempotent", lambda: execute_with_retry(Flaky(), RetryPolicy(), idempotent=True)),
    ],
)
def test_a_wrong_value_is_named(field: str, make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field
