"""What a type checker makes of breakers, retries and the executor. Checked by mypy, never run."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Literal, assert_type

from snakepit import Backoff, CircuitBreaker, HealthMonitor, Pool, RetryBudget, RetryPolicy
from snakepit.executor import (
    Outcome,
    aexecute_batch,
    aexecute_with_protection,
    aexecute_with_retry,
    execute_batch,
    execute_with_protection,
    execute_with_retry,
    execute_with_timeout,
)


def half(number: int) -> float:
    return number / 2


async def ahalf(number: int) -> float:
    return number / 2


def breakers(breaker: CircuitBreaker) -> None:
    CircuitBreaker(failure_threshold=2, reset_timeout=timedelta(seconds=1), exclude=ValueError)
    CircuitBreaker(exclude=(KeyError, ValueError))
    CircuitBreaker(exclude=lambda error: "busy" in str(error))
    CircuitBreaker(failure_treshold=2)  # type: ignore[call-arg]
    assert_type(breaker.call(half, 3), float)
    assert_type(breaker(half)(3), float)
    assert_type(breaker.state, Literal["closed", "open", "half_open"])
    breaker.call(half, "3")  # type: ignore[arg-type]
    breaker(half)("3")  # type: ignore[arg-type]
    with breaker.permit() as permit:
        permit.failure()


async def coroutines(breaker: CircuitBreaker, policy: RetryPolicy) -> None:
    assert_type(await breaker.acall(ahalf, 3), float)
    assert_type(await breaker(ahalf)(3), float)
    assert_type(await aexecute_with_retry(lambda: ahalf(3), policy), float)
    assert_type(await aexecute_with_protection(breaker, lambda: ahalf(3)), float)
    assert_type(await aexecute_batch([lambda: ahalf(3)]), list[Outcome[float]])
    await aexecute_with_retry(lambda: half(3))  # type: ignore[arg-type, return-value]
    await aexecute_with_retry(lambda: asyncio.sleep(1))


def functions(breaker: CircuitBreaker, pool: Pool) -> None:
    budget = RetryBudget()
    policy = RetryPolicy(max_attempts=4, backoff=[0.1, timedelta(seconds=1)], jitter="equal")
    assert_type(execute_with_retry(lambda: half(3), policy, timeout=5), float)
    assert_type(execute_with_retry(lambda: half(3), backoff=Backoff(max=1), budget=budget), float)
    execute_with_retry(lambda: half(3), max_attempt=3)  # type: ignore[call-arg]
    RetryPolicy(jitter="some")  # type: ignore[arg-type]
    assert_type(execute_with_timeout(lambda: half(3), timeout=1), float)
    execute_with_timeout(lambda: half(3))  # type: ignore[call-arg]
    assert_type(execute_with_protection(breaker, lambda: half(3), idempotent=True), float)
    for outcome in execute_batch([partial(half, n) for n in range(3)], max_concurrency=2):
        assert_type(outcome.result(), float)
    HealthMonitor(pool, crash_window=timedelta(minutes=1)).record_crash("default/0", "oom")
