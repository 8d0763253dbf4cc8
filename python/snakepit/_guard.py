"""What a pool does while its workers fail: its parameters, checked and as the engine takes them.

Breakers and policies are values that any function can be put behind; those that ask Python whether
an error counts cannot guard a pool, whose calls end without the interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snakepit._checks import positive
from snakepit._config import WORKER_BREAKER
from snakepit._duration import UNSET, seconds
from snakepit._life import Checked
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit import _core
    from snakepit._breaker import CircuitBreaker
    from snakepit._duration import Duration
    from snakepit._retry import RetryPolicy


# What the engine counts in, and what a window may remember.
_MOST = 2**32 - 1
_LARGEST_WINDOW = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBreaker(Checked):
    """When a slot whose workers keep failing is left out for a while: a breaker for each slot.

    A failure is the death of a worker: a crash, a broken protocol, a kill because a call outlived
    its deadline or the worker was stalled. That a caller cancelled is none. An answer is a success.
    A slot with too many failures is *barred*: it gets no new calls while another one can serve, but
    those of sessions that live there. ``reset_timeout`` later one call at a time tries it, and an
    answer makes it as good as any other. Never is more than half of the slots barred.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> breaker = snakepit.WorkerBreaker(failure_threshold=3, reset_timeout=60)
        >>> snakepit.Pool("my_app:Model", size=4, worker_breaker=breaker)
    """

    window: int = 20
    """Look at so many of the slot's last answers and failures, up to 65536."""
    minimum_calls: int | None = None
    """With fewer of them than this the slot is not barred. ``None``: 5, or ``window`` where that is
    smaller."""
    failure_rate: float = 0.5
    """Share of failures among them that bars it; above 0, at most 1."""
    failure_threshold: int | None = None
    """So many failures in a row bar it, whatever the window shows. ``None``: the window decides."""
    reset_timeout: Duration = 30.0
    """Seconds until it is tried again."""
    count_remote_errors: bool = False
    """Whether what tools raise is a failure, too. Otherwise it shows that the worker is well."""

    def __post_init__(self) -> None:
        window = positive("worker_breaker.window", self.window, most=_LARGEST_WINDOW)
        if self.minimum_calls is not None:
            positive("worker_breaker.minimum_calls", self.minimum_calls, most=window)
        rate: object = self.failure_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise ConfigError(
                f"worker_breaker.failure_rate: a number above 0 and at most 1 is needed, not "
                f"{rate!r}",
                field="worker_breaker.failure_rate",
            )
        if self.failure_threshold is not None:
            positive("worker_breaker.failure_threshold", self.failure_threshold, most=_MOST)
        seconds("worker_breaker.reset_timeout", self.reset_timeout)
        if not isinstance(self.count_remote_errors, bool):
            raise ConfigError(
                "worker_breaker.count_remote_errors: must be True or False, not "
                f"{self.count_remote_errors!r}",
                field="worker_breaker.count_remote_errors",
            )


def worker_breaker(breaker: object) -> tuple[Any, ...] | None:
    """Return the figures of the breaker of each slot.

    Raises:
        ConfigError: It is none, or one of its values is wrong.
    """
    if breaker is UNSET:
        return WORKER_BREAKER
    if breaker is None:
        return None
    if isinstance(breaker, Mapping):
        breaker = WorkerBreaker(**breaker)
    if not isinstance(breaker, WorkerBreaker):
        raise ConfigError(
            f"worker_breaker: a snakepit.WorkerBreaker, a mapping or None is needed, not "
            f"{breaker!r}",
            field="worker_breaker",
        )
    minimum = breaker.minimum_calls
    return (
        breaker.window,
        min(5, breaker.window) if minimum is None else minimum,
        float(breaker.failure_rate),
        breaker.failure_threshold,
        seconds("worker_breaker.reset_timeout", breaker.reset_timeout),
        breaker.count_remote_errors,
    )


@dataclass(frozen=True, slots=True)
class CrashBarrier:
    """What becomes of a slot whose worker crashed, and of the call that it had.

    A deadline that killed the worker is no crash; a broken protocol is one.
    """

    taint: Duration = 60.0
    """Seconds for which other idle slots are preferred, and to which a call that died there does
    not come back while another can serve."""
    max_restarts: int = 1
    """How often an idempotent call is moved to another worker: 0 or 1. A call under which two
    workers died is quarantined (``PoisonCall``)."""


def crash_barrier(barrier: object) -> tuple[float, int] | None:
    """Return the figures of a crash barrier.

    Raises:
        ConfigError: It is none, or one of its values is wrong.
    """
    if barrier is None:
        return None
    if not isinstance(barrier, CrashBarrier):
        raise ConfigError(
            f"crash_barrier: a CrashBarrier is needed, not {barrier!r}", field="crash_barrier"
        )
    restarts = positive("max_restarts", barrier.max_restarts, least=0, most=1)
    return seconds("taint", barrier.taint), restarts


def circuit_breaker(breaker: object) -> tuple[_core.CircuitBreaker, bool] | None:
    """Return the breaker as the engine shares it, and whether exceptions of tools count.

    Raises:
        ConfigError: It is none, or it asks Python which errors count.
    """
    if breaker is None:
        return None
    from snakepit._breaker import CircuitBreaker

    if not isinstance(breaker, CircuitBreaker):
        raise ConfigError(
            f"circuit_breaker: a CircuitBreaker is needed, not {breaker!r}",
            field="circuit_breaker",
        )
    return _native_breaker(breaker)


def _native_breaker(breaker: CircuitBreaker) -> tuple[_core.CircuitBreaker, bool]:
    if breaker._excludes:
        raise ConfigError(
            "circuit_breaker: a pool's takes no exclude: deaths, deadlines and workers that "
            "cannot start are its failures, and what tools raise with count_remote_errors=True",
            field="circuit_breaker",
        )
    return breaker._native, breaker._count_remote_errors


def retry_policy(policy: object) -> _core.RetryPolicy | None:
    """Return a retry policy as the engine takes it.

    Raises:
        ConfigError: It is none, or it asks for what only ``snakepit.executor`` does.
    """
    return None if policy is None else call_policy(policy)


def call_policy(policy: object) -> _core.RetryPolicy:
    """Return the policy of one call, or of all; as ``retry_policy``, but there must be one."""
    from snakepit._retry import RetryPolicy

    if not isinstance(policy, RetryPolicy):
        raise ConfigError(f"retry: a RetryPolicy is needed, not {policy!r}", field="retry")
    return _native_policy(policy)


def _native_policy(policy: RetryPolicy) -> _core.RetryPolicy:
    if policy._named or policy._budget is not None:
        what = "retriable" if policy._named else "budget"
        raise ConfigError(
            f"retry: a pool's takes no {what}: it makes calls again whose worker died, and pays "
            "from its own budget; for more there is snakepit.executor.execute_with_retry",
            field="retry",
        )
    return policy._native
