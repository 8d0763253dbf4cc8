"""A session: calls that share one worker, and the state that lives there under the session's id.

.. code-block:: text

    pool.session(id) ──▶ open ──close(), end of the ``with`` block──▶ SessionClosed
                           │ ──not used for its ttl────────────────▶ SessionExpired
                           └──its worker is gone──────────────────▶ SessionLost

The object stays what it has become; another one of the same id opens a session anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from snakepit._checks import choice
from snakepit._config import AFFINITIES
from snakepit._duration import UNSET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from snakepit._async import AsyncPool
    from snakepit._async_stream import AsyncStream
    from snakepit._base import Affinity, PoolBase
    from snakepit._duration import Duration, Unset
    from snakepit._engine import NativeSession
    from snakepit._future import Future
    from snakepit._pool import Pool
    from snakepit._stats import SessionInfo
    from snakepit._stream import Stream


class BoundSession:
    """What both faces share: a pool, an id, and the home that its first call is bound to."""

    __slots__ = ("_affinity", "_native", "_pool")

    def __init__(self, pool: PoolBase, native: NativeSession, affinity: str) -> None:
        self._pool = pool
        self._native = native
        self._affinity = affinity

    @property
    def id(self) -> str:
        """The caller's id of the session, as the adapter sees it."""
        return self._native.id

    @property
    def affinity(self) -> str:
        """``"strict_queue"``, ``"strict_fail_fast"`` or ``"hint"``; see ``Pool.session``."""
        return self._affinity

    @property
    def generation(self) -> int:
        """Number of the binding to its worker, higher with every new one; 0: not bound yet."""
        return self._native.generation

    @property
    def closed(self) -> bool:
        """Whether it was closed or has expired, as far as that has been noticed."""
        return self._native.closed

    def info(self) -> SessionInfo | None:
        """Return what there is to tell of it; ``None``: it has ended. Waits for nothing."""
        if self.closed:
            return None
        return self._pool.session_info(self.id)

    def _close(self) -> bool:
        return self._pool._engine.end_session(self._native)

    def _with(self, affinity: Affinity | None) -> Self:
        """The same session, for one call that keeps to its worker differently."""
        if affinity is None:
            return self
        choice("affinity", affinity, AFFINITIES)
        return type(self)(self._pool, self._native.with_affinity(affinity), affinity)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of pool {self._pool.name!r}>"


class Session(BoundSession):
    """A session of a ``Pool``. Leaving its ``with`` block closes it.

    Example:
        >>> with pool.session("user_42") as session:
        ...     session.execute("load_model", {"name": "small"})
        ...     session.execute("generate", {"prompt": "hi"})
    """

    __slots__ = ()
    _pool: Pool

    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in this session; see ``Pool.execute``. ``affinity``: of this call."""
        return self._pool.execute(
            tool, args, session=self._with(affinity), timeout=timeout, idempotent=idempotent
        )

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Future:
        """Start one tool in this session; see ``Pool.submit``."""
        return self._pool.submit(
            tool, args, session=self._with(affinity), timeout=timeout, idempotent=idempotent
        )

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> Stream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object],
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> None: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> Stream | None:
        """Run one streaming tool in this session; see ``Pool.execute_stream``."""
        return self._pool.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=self._with(affinity),
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    def close(self) -> bool:
        """End the session, whoever else uses it; see ``Pool.close_session``. Idempotent.

        Returns:
            Whether it was open.
        """
        return self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()


class AsyncSession(BoundSession):
    """A session of an ``AsyncPool``; the names of ``Session`` with ``await``."""

    __slots__ = ()
    _pool: AsyncPool

    async def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in this session; see ``AsyncPool.execute``."""
        return await self._pool.execute(
            tool, args, session=self._with(affinity), timeout=timeout, idempotent=idempotent
        )

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> asyncio.Future[Any]:
        """Start one tool in this session; see ``AsyncPool.submit``."""
        return self._pool.submit(
            tool, args, session=self._with(affinity), timeout=timeout, idempotent=idempotent
        )

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> AsyncStream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object],
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> Awaitable[None]: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> AsyncStream | Awaitable[None]:
        """Run one streaming tool in this session; see ``AsyncPool.execute_stream``."""
        return self._pool.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=self._with(affinity),
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    async def close(self) -> bool:
        """End the session; see ``Session.close``. Waits for nothing."""
        return self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
