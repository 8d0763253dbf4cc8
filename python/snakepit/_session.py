"""A session: calls that share one worker, and the state that lives there under the session's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from snakepit._duration import UNSET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from snakepit._async import AsyncPool
    from snakepit._async_stream import AsyncStream
    from snakepit._base import PoolBase
    from snakepit._duration import Duration, Unset
    from snakepit._engine import NativeSession
    from snakepit._future import Future
    from snakepit._pool import Pool
    from snakepit._stream import Stream


class BoundSession:
    """What both faces share: a pool, an id, and the home that the engine binds at the first call.

    The object belongs to that home. When its worker is gone, this object answers ``SessionLost``
    from then on; a new one with the same id starts over on another worker.
    """

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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of pool {self._pool.name!r}>"


class Session(BoundSession):
    """A session of a ``Pool``. Leaving its ``with`` block ends nothing in the worker.

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
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in this session; see ``Pool.execute``."""
        return self._pool.execute(tool, args, session=self, timeout=timeout, idempotent=idempotent)

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Future:
        """Start one tool in this session; see ``Pool.submit``."""
        return self._pool.submit(tool, args, session=self, timeout=timeout, idempotent=idempotent)

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object],
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> None: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream | None:
        """Run one streaming tool in this session; see ``Pool.execute_stream``."""
        return self._pool.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=self,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to release: the id keeps its home until that worker goes."""


class AsyncSession(BoundSession):
    """A session of an ``AsyncPool``; the names of ``Session`` with ``await``."""

    __slots__ = ()
    _pool: AsyncPool

    async def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in this session; see ``AsyncPool.execute``."""
        return await self._pool.execute(
            tool, args, session=self, timeout=timeout, idempotent=idempotent
        )

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> asyncio.Future[Any]:
        """Start one tool in this session; see ``AsyncPool.submit``."""
        return self._pool.submit(tool, args, session=self, timeout=timeout, idempotent=idempotent)

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> AsyncStream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object],
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Awaitable[None]: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> AsyncStream | Awaitable[None]:
        """Run one streaming tool in this session; see ``AsyncPool.execute_stream``."""
        return self._pool.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=self,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to release: the id keeps its home until that worker goes."""
