"""Functions of the module: each asks the pool that ``snakepit.start()`` has started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, overload

from snakepit._duration import UNSET, limit
from snakepit._started import get_pool, some

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snakepit._base import Affinity
    from snakepit._duration import Duration, Unset
    from snakepit._future import Future
    from snakepit._retry import RetryPolicy
    from snakepit._stats import PoolStats, WorkerInfo
    from snakepit._stream import Stream


def execute(
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    session: str | None = None,
    timeout: Duration | Unset | None = UNSET,
    idempotent: bool = False,
    retry: RetryPolicy | None = None,
    validate_arguments: bool | None = None,
) -> Any:
    """Run one tool and return its result; see ``Pool.execute``.

    Args:
        pool: Name of the pool, as in ``get_pool``.
    """
    return get_pool(pool).execute(
        tool,
        args,
        session=session,
        timeout=timeout,
        idempotent=idempotent,
        retry=retry,
        validate_arguments=validate_arguments,
    )


def submit(
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    session: str | None = None,
    timeout: Duration | Unset | None = UNSET,
    idempotent: bool = False,
    retry: RetryPolicy | None = None,
    validate_arguments: bool | None = None,
) -> Future:
    """Start one tool and return its future at once; see ``Pool.submit``."""
    return get_pool(pool).submit(
        tool,
        args,
        session=session,
        timeout=timeout,
        idempotent=idempotent,
        retry=retry,
        validate_arguments=validate_arguments,
    )


def execute_in_session(
    session_id: str,
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    affinity: Affinity | None = None,
    timeout: Duration | Unset | None = UNSET,
    idempotent: bool = False,
) -> Any:
    """Run one tool in the session of that id; see ``Pool.execute_in_session``."""
    return get_pool(pool).execute_in_session(
        session_id, tool, args, affinity=affinity, timeout=timeout, idempotent=idempotent
    )


@overload
def execute_stream(
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    on_chunk: None = None,
    session: str | None = None,
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
    validate_arguments: bool | None = None,
) -> Stream: ...
@overload
def execute_stream(
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    on_chunk: Callable[[Any], object],
    session: str | None = None,
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
    validate_arguments: bool | None = None,
) -> None: ...
def execute_stream(
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    on_chunk: Callable[[Any], object] | None = None,
    session: str | None = None,
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
    validate_arguments: bool | None = None,
) -> Stream | None:
    """Run one streaming tool; see ``Pool.execute_stream``."""
    return get_pool(pool).execute_stream(
        tool,
        args,
        on_chunk=on_chunk,
        session=session,
        timeout=timeout,
        idle_timeout=idle_timeout,
        validate_arguments=validate_arguments,
    )


@overload
def execute_in_session_stream(
    session_id: str,
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    affinity: Affinity | None = None,
    on_chunk: None = None,
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
) -> Stream: ...
@overload
def execute_in_session_stream(
    session_id: str,
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    affinity: Affinity | None = None,
    on_chunk: Callable[[Any], object],
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
) -> None: ...
def execute_in_session_stream(
    session_id: str,
    tool: str,
    args: Mapping[str, Any] | None = None,
    *,
    pool: str | None = None,
    affinity: Affinity | None = None,
    on_chunk: Callable[[Any], object] | None = None,
    timeout: Duration | Unset | None = UNSET,
    idle_timeout: Duration | Unset | None = UNSET,
) -> Stream | None:
    """Run one streaming tool in the session of that id; see ``Pool.execute_in_session_stream``."""
    chosen_pool = get_pool(pool)
    return chosen_pool.execute_stream(
        tool,
        args,
        on_chunk=on_chunk,
        session=chosen_pool._named(session_id, affinity),
        timeout=timeout,
        idle_timeout=idle_timeout,
    )


def get_stats(pool: str | None = None) -> PoolStats:
    """Return the counters of one pool, or of all together; waits for nothing.

    Args:
        pool: Name of the pool. Default: all.
    """
    from snakepit._stats import total

    return total([each.stats() for each in some(pool)])


def list_workers(pool: str | None = None) -> list[WorkerInfo]:
    """Return the workers as they are now, of one pool or of all; waits for nothing."""
    return [worker for each in some(pool) for worker in each.list_workers()]


def await_ready(pool: str | None = None, timeout: Duration | None = None) -> None:
    """Wait until every worker is ready, of one pool or of all.

    Args:
        pool: Name of the pool. Default: all.
        timeout: Seconds to wait; ``None``: as long as workers may take to start.

    Raises:
        NotStarted: ``start()`` has not been called.
        StartError: A worker cannot start, or is not ready within ``timeout``.
    """
    limited = limit("timeout", timeout)
    end = None if limited is None else time.monotonic() + limited
    for each in some(pool):
        each.await_ready(None if end is None else max(0.0, end - time.monotonic()))
