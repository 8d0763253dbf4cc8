"""The asynchronous face: ``AsyncPool``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Self, overload

from snakepit._async_stream import AsyncStream, feed_async
from snakepit._base import PoolBase
from snakepit._checks import positive, refuse_surrogates
from snakepit._duration import UNSET, limit, seconds
from snakepit._inbox import inbox_of, off_loop
from snakepit._session import AsyncSession
from snakepit._sigterm import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from snakepit import SharedRef
    from snakepit._base import Affinity
    from snakepit._duration import Duration, Unset
    from snakepit._retry import RetryPolicy
    from snakepit._tools import ToolInfo


class AsyncPool(PoolBase):
    __doc__ = f"""{PoolBase.__doc__}
    The names of ``Pool``, with ``await`` and ``async for``. A call belongs to the event loop that
    runs when it is made; one pool serves any number of loops, also one after the other. Cancelling
    the task that awaits a call cancels the call.

    Example:
        >>> async with snakepit.AsyncPool("my_app.adapters:Model", size=4) as pool:
        ...     await pool.execute("add", {{"a": 1, "b": 2}})
        3
    """

    async def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
        retry: RetryPolicy | None = None,
        validate_arguments: bool | None = None,
    ) -> Any:
        """Run one tool on one worker and return its result.

        Args, results and errors are those of ``Pool.execute``.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        native = None if session is None else self._route(session)
        limited: Any = self._limit(timeout)
        if self._validates if validate_arguments is None else validate_arguments:
            args, limited = await self._awaited(tool, args, limited)
        try:
            reply = self._engine.execute_async(
                tool,
                args,
                native,
                limited,
                idempotent,
                inbox_of(loop),
                future,
                *self._more(tool, retry),
            )
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)
        try:
            return await future
        except (asyncio.CancelledError, GeneratorExit):
            reply.cancel()
            raise

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
        retry: RetryPolicy | None = None,
        validate_arguments: bool | None = None,
    ) -> asyncio.Future[Any]:
        """Start one tool and return its future at once; cancelling that cancels the call.

        Needs a running loop. Args, results and errors are those of ``Pool.submit``. With
        ``validate_arguments``, errors come from the future where no worker has been ready yet.
        """
        loop = asyncio.get_running_loop()
        if self._validates if validate_arguments is None else validate_arguments:
            if not self._engine.knows_tools:
                return loop.create_task(
                    self.execute(
                        tool,
                        args,
                        session=session,
                        timeout=timeout,
                        idempotent=idempotent,
                        retry=retry,
                        validate_arguments=True,
                    )
                )
            args, _ = self._checked(tool, args, None, wait=False)
        future: asyncio.Future[Any] = loop.create_future()
        native = None if session is None else self._route(session)
        try:
            reply = self._engine.execute_async(
                tool,
                args,
                native,
                self._limit(timeout),
                idempotent,
                inbox_of(loop),
                future,
                *self._more(tool, retry),
            )
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)

        def pass_on(ended: asyncio.Future[Any]) -> None:
            if ended.cancelled():
                reply.cancel()

        future.add_done_callback(pass_on)
        return future

    def map(
        self,
        tool: str,
        args: Iterable[Mapping[str, Any] | None] | AsyncIterable[Mapping[str, Any] | None],
        *,
        in_flight: int | None = None,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> AsyncIterator[Any]:
        """Run one tool once for each item of ``args``; see ``Pool.map``.

        ``args`` may be an asynchronous iterable too.
        """
        window = 2 * self.size if in_flight is None else positive("in_flight", in_flight)
        self._limit(timeout)  # A wrong value is told here, not at the first item.

        def start(each: Mapping[str, Any] | None) -> asyncio.Future[Any]:
            return self.submit(tool, each, session=session, timeout=timeout, idempotent=idempotent)

        return _ordered(start, args, window)

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> AsyncStream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object],
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> Awaitable[None]: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> AsyncStream | Awaitable[None]: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        session: AsyncSession | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> AsyncStream | Awaitable[None]:
        """Run one streaming tool; see ``Pool.execute_stream``.

        With ``validate_arguments``, ``StartError`` before a worker has been ready: this does not
        wait. ``await pool.tools()`` does.

        Returns:
            The stream, for ``async for``. With ``on_chunk``, a function or a coroutine function:
            what to await for the end of the stream.
        """
        total, idle = self._stream_limits(timeout, idle_timeout)
        native = self._route(session)
        if self._validates if validate_arguments is None else validate_arguments:
            args, _ = self._checked(tool, args, None, wait=False)
        try:
            chunks = self._engine.stream(tool, args, native, total, idle, *self._within(tool))
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)
        stream = AsyncStream(chunks, idle)
        return stream if on_chunk is None else feed_async(stream, on_chunk)

    def session(
        self,
        session_id: str | None = None,
        *,
        affinity: Affinity | None = None,
        ttl: Duration | Unset | None = UNSET,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncSession:
        """Open a session, or join the one that is open; see ``Pool.session``. Waits for nothing."""
        return AsyncSession(self, *self._opened(session_id, affinity, ttl, metadata))

    async def close_session(self, session_id: str) -> bool:
        """Close the session that is open under that id; see ``Pool.close_session``."""
        return self._close_session(session_id)

    async def execute_in_session(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in the session of that id; ``execute(…, session=session_id)``.

        The session is opened where none is, with the pool's ``session_ttl``. ``affinity`` is this
        call's; see ``session()``.
        """
        session = self._named(session_id, affinity)
        return await self.execute(
            tool, args, session=session, timeout=timeout, idempotent=idempotent
        )

    @overload
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> AsyncStream: ...
    @overload
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object],
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> Awaitable[None]: ...
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
    ) -> AsyncStream | Awaitable[None]:
        """Run one streaming tool in the session of that id.

        See ``execute_stream``, and ``execute_in_session`` for ``affinity``.
        """
        return self.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=self._named(session_id, affinity),
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    def _named(self, session_id: str, affinity: Affinity | None) -> AsyncSession | str:
        if affinity is None:
            return session_id
        return AsyncSession(self, self._by_id(session_id, affinity), affinity)

    async def put(self, value: Any) -> SharedRef:
        """As ``Pool.put``; what is large is copied on another thread."""
        return await asyncio.to_thread(self._engine.put, value)

    async def tools(self, timeout: Duration | None = None) -> list[ToolInfo]:
        """Return the adapter's tools; see ``Pool.tools``."""
        from snakepit._tools import read

        limited = limit("timeout", timeout)
        if self._engine.knows_tools:
            return read(self._engine.tools(limited))
        return read(await off_loop(lambda: self._engine.tools(limited)))

    async def await_ready(self, timeout: Duration | None = None) -> None:
        """Wait until every worker is ready; see ``Pool.await_ready``."""
        limited = limit("timeout", timeout)
        await off_loop(lambda: self._engine.await_ready(limited))

    async def close(self, *, drain: Duration | Unset = UNSET) -> None:
        """Close the pool; see ``Pool.close``. Goes on if the awaiting task is cancelled."""
        limited = self._drain_timeout if drain is UNSET else seconds("drain", drain)
        await off_loop(lambda: self._close(limited))
        forget(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A child of a fork inside the block leaves it too; the pool is its parent's.
        if self._engine.forked:
            return
        # The first Ctrl-C is a cancellation here; this is the second one.
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._hurry()
            return
        try:
            await self.close(drain=UNSET if kind is None else 0.0)
        except BaseException:
            self._hurry()
            raise

    def _close(self, limited: float) -> None:
        try:
            self._engine.close(limited)
        finally:
            self._close_tools()

    def _origin(self) -> object:
        # A coroutine among the host tools runs on the loop that makes the call.
        toolbox = self._toolbox
        if toolbox is None or not toolbox.any_async:
            return None
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    async def _awaited(
        self, tool: str, args: Mapping[str, Any] | None, limited: float | None
    ) -> tuple[Any, float | None]:
        if self._engine.knows_tools:
            return self._checked(tool, args, limited)
        return await off_loop(lambda: self._checked(tool, args, limited))

    def _hurry(self) -> None:
        # For who cannot wait any longer: no patience, but no orphans either.
        self._engine.kill()
        forget(self)


async def _ordered(
    start: Callable[[Mapping[str, Any] | None], asyncio.Future[Any]],
    args: Iterable[Mapping[str, Any] | None] | AsyncIterable[Mapping[str, Any] | None],
    window: int,
) -> AsyncGenerator[Any]:
    pending: deque[asyncio.Future[Any]] = deque()
    try:
        async for each in _each(args):
            pending.append(start(each))
            if len(pending) == window:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for future in pending:
            future.cancel()


async def _each(args: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any]:
    if isinstance(args, AsyncIterable):
        async for each in args:
            yield each
    else:
        for each in args:
            yield each
