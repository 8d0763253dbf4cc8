"""What a pool does while its workers fail: its parameters, checked and as the engine takes them.

Breakers and policies are values that any function can be put behind; those that ask Python whether
an error counts cannot guard a pool, whose calls end without the interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit._config import positive
from snakepit._duration import seconds
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit import _core
    from snakepit._breaker import CircuitBreaker
    from snakepit._duration import Duration
    from snakepit._retry import RetryPolicy


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
