"""Runs any function with a time limit, with retries, behind a circuit breaker, or many at once.

Each has a twin for functions whose result is awaited: ``aexecute_…``. One name for both would have
to guess before the call, and ``lambda: pool.execute("ping")`` looks the same whether ``pool`` is a
``Pool`` or an ``AsyncPool``; a wrong guess would run a coroutine function in a thread. What is
handed to the wrong twin is a ``TypeError`` that names the other.

Functions are called without arguments: use ``lambda`` or ``functools.partial``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from snakepit._batch import Outcome, aexecute_batch, execute_batch, start_thread, too_late
from snakepit._calling import awaitable, plain
from snakepit._duration import limit, seconds
from snakepit._retry import RetryPolicy
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from typing import Unpack

    from snakepit._breaker import CircuitBreaker
    from snakepit._duration import Duration
    from snakepit._retry import RetryOptions

__all__ = [
    "Outcome",
    "aexecute_batch",
    "aexecute_with_protection",
    "aexecute_with_retry",
    "aexecute_with_timeout",
    "execute_batch",
    "execute_with_protection",
    "execute_with_retry",
    "execute_with_timeout",
]

T = TypeVar("T")


def execute_with_timeout(fn: Callable[[], T], *, timeout: Duration) -> T:
    """Run ``fn`` in a thread and wait for it ``timeout`` seconds at most.

    The caller is free when the time is over, but a thread cannot be stopped: ``fn`` runs on, and
    its result is dropped. So bound what it waits for, or run it as a tool of a ``Pool``, where a
    deadline ends what runs. The thread does not keep the interpreter from ending. ``fn`` sees this
    thread's context variables. Ctrl-C ends the wait, not ``fn``.

    Raises:
        CallTimeout: The time is over; ``fn`` may still run.
        ConfigError: ``timeout`` is no duration.
    """
    time_left = seconds("timeout", timeout)
    ended: SimpleQueue[tuple[int, Outcome[T]]] = SimpleQueue()
    start_thread(lambda: plain(fn(), "aexecute_with_timeout"), 0, ended)
    try:
        _, outcome = ended.get(timeout=time_left)
    except Empty:
        raise too_late(time_left) from None
    try:
        return outcome.result()
    finally:
        del outcome  # its error's traceback holds this frame


async def aexecute_with_timeout(fn: Callable[[], Awaitable[T]], *, timeout: Duration) -> T:
    """Await what ``fn`` returns, for ``timeout`` seconds at most; then it is cancelled.

    Its end is waited for, as with ``asyncio.timeout``: what ignores its cancel is not left behind.

    Raises:
        CallTimeout: The time is over.
        ConfigError: ``timeout`` is no duration.
    """
    import asyncio

    time_left = seconds("timeout", timeout)
    scope = asyncio.timeout(time_left)
    try:
        async with scope:
            return await awaitable(fn, "execute_with_timeout")
    except TimeoutError:
        # What raised its own in time passes through.
        if scope.expired():
            raise too_late(time_left) from None
        raise


def execute_with_retry(
    fn: Callable[[], T],
    policy: RetryPolicy | None = None,
    *,
    timeout: Duration | None = None,
    **options: Unpack[RetryOptions],
) -> T:
    """Run ``fn``, and again where it failed and ``policy`` says so.

    Args:
        fn: What to run. For a call of a pool, keep its own ``timeout`` below this one.
        policy: A ``RetryPolicy``, or else its parameters as keywords.
        timeout: Seconds after which no attempt begins; one that runs is not stopped.
        **options: See ``RetryPolicy``.

    Raises:
        ConfigError: A value is wrong, or a policy came with keywords.
        Exception: What the last attempt raised, with a note that says why there was no other.
    """
    return _retry(lambda: plain(fn(), "aexecute_with_retry"), _policy(policy, options), timeout)


async def aexecute_with_retry(
    fn: Callable[[], Awaitable[T]],
    policy: RetryPolicy | None = None,
    *,
    timeout: Duration | None = None,
    **options: Unpack[RetryOptions],
) -> T:
    """Like ``execute_with_retry``, for a function whose result is awaited."""
    chosen = _policy(policy, options)
    return await _aretry(lambda: awaitable(fn, "execute_with_retry"), chosen, timeout)


def execute_with_protection(
    breaker: CircuitBreaker,
    fn: Callable[[], T],
    policy: RetryPolicy | None = None,
    *,
    timeout: Duration | None = None,
    **options: Unpack[RetryOptions],
) -> T:
    """Run ``fn`` with retries, each attempt behind ``breaker``.

    A refusal is not tried again unless ``retriable`` says so.

    Args:
        breaker: Admits each attempt and counts how it ended.
        fn: As for ``execute_with_retry``.
        policy: As there.
        timeout: As there.
        **options: As there.

    Raises:
        CircuitOpen: The breaker admitted no attempt; nothing ran. Where it refuses after one that
            failed, what that one raised is raised, with the refusal as its cause.
        ConfigError: A value is wrong, or a policy came with keywords.
        Exception: What the last attempt raised.
    """
    return _retry(lambda: breaker.call(fn), _policy(policy, options), timeout)


async def aexecute_with_protection(
    breaker: CircuitBreaker,
    fn: Callable[[], Awaitable[T]],
    policy: RetryPolicy | None = None,
    *,
    timeout: Duration | None = None,
    **options: Unpack[RetryOptions],
) -> T:
    """Like ``execute_with_protection``, for a function whose result is awaited."""
    return await _aretry(lambda: breaker.acall(fn), _policy(policy, options), timeout)


def _policy(policy: RetryPolicy | None, options: RetryOptions) -> RetryPolicy:
    if policy is None:
        return RetryPolicy(**options)
    if options:
        field = next(iter(options))
        raise ConfigError(f"{field}: give a policy or its parameters, not both", field=field)
    return policy


def _retry(attempt: Callable[[], T], policy: RetryPolicy, timeout: Duration | None) -> T:
    attempts = policy.begin(limit("timeout", timeout))
    try:
        while True:
            try:
                value = attempt()
            except Exception as error:
                pause = attempts.failed(error)
                if pause is None:
                    raise
            else:
                attempts.succeeded()
                return value
            time.sleep(pause)
    finally:
        attempts.forget()


async def _aretry(
    attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, timeout: Duration | None
) -> T:
    import asyncio

    attempts = policy.begin(limit("timeout", timeout))
    try:
        while True:
            try:
                value = await attempt()
            except Exception as error:
                pause = attempts.failed(error)
                if pause is None:
                    raise
            else:
                attempts.succeeded()
                return value
            await asyncio.sleep(pause)
    finally:
        attempts.forget()
