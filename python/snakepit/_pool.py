"""The synchronous face: ``Pool``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self, overload

from snakepit._base import PoolBase
from snakepit._config import positive, refuse_surrogates
from snakepit._duration import UNSET, limit, seconds
from snakepit._future import Future
from snakepit._session import Session
from snakepit._sigterm import forget
from snakepit._stream import Stream, feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from snakepit._base import Affinity
    from snakepit._duration import Duration, Unset
    from snakepit._retry import RetryPolicy


class Pool(PoolBase):
    __doc__ = f"""{PoolBase.__doc__}
    Workers start at once and in the background; calls wait for the first that is ready. Any thread
    may call. Leaving the ``with`` block closes the pool: calls under way get ``drain_timeout``,
    or are cancelled at once when an exception leaves the block.

    Example:
        >>> with snakepit.Pool("my_app.adapters:Model", size=4) as pool:
        ...     pool.execute("add", {{"a": 1, "b": 2}})
        3
    """

    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
        retry: RetryPolicy | None = None,
    ) -> Any:
        """Run one tool on one worker and return its result.

        Ctrl-C ends the wait and cancels the call.

        Args:
            tool: Name of a tool of the adapter.
            args: Keyword arguments of the tool.
            session: Calls of one session share one worker; see ``session()``.
            timeout: Seconds for the whole call, waiting included; ``None``: no limit. Default:
                the pool's.
            idempotent: Allow another try where the call may have run already: its worker died.
            retry: When there is one. Default: the pool's.

        Returns:
            What the tool returned: ``None``, numbers, strings, ``bytes``, lists, dicts, dates,
            ``Decimal``, ``UUID``, numpy arrays. Tuples arrive as lists.

        Raises:
            QueueFull: As much waits as the pool allows; ``error.retry_after``. Nothing ran.
            CircuitOpen: The pool's circuit breaker refuses calls; ``error.retry_after``.
            CallTimeout: ``timeout`` passed; ``error.step`` tells whether the tool had started.
            WorkerDied: The worker's process ended; ``error.exit_code`` or ``error.signal``.
            PoisonCall: Two did, each while it ran this call.
            SessionLost: The session's worker is gone.
            ToolNotFound: The adapter has no such tool; ``error.suggestions``.
            ConfigError: The name of the tool, the session or ``timeout`` cannot be one.
            RemoteError: The tool raised; ``error.remote_traceback``. Also an instance of the
                built-in class that it raised.
            EncodeError: A value cannot travel; ``error.path`` tells where it sits.
            MessageTooLarge: Arguments or result are above the pool's ``max_message``.
            StartError: No worker can start.
            PoolClosed: The pool is closed.
            ForkedPool: The pool belongs to the parent of this process.
        """
        native = None if session is None else self._route(session)
        try:
            return self._engine.execute(
                tool, args, native, self._limit(timeout), idempotent, *self._more(retry)
            )
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
        retry: RetryPolicy | None = None,
    ) -> Future:
        """Start one tool and return its future at once.

        Args and errors are those of ``execute``. Arguments are encoded before this returns: what
        cannot travel, a full queue and a closed pool raise here, all else from the future.
        """
        native = None if session is None else self._route(session)
        try:
            reply = self._engine.submit(
                tool, args, native, self._limit(timeout), idempotent, *self._more(retry)
            )
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)
        return Future(reply)

    def map(
        self,
        tool: str,
        args: Iterable[Mapping[str, Any] | None],
        *,
        in_flight: int | None = None,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Iterator[Any]:
        """Run one tool once for each item of ``args``; yields the results in that order.

        Lazy: ``args`` is read as results are taken. The first call that fails raises its error
        and cancels those behind it, and so does closing or dropping the iterator.

        Args:
            tool: Name of a tool of the adapter.
            args: Keyword arguments of each call.
            in_flight: Calls under way at most, at least 1. Default: twice the pool's size.
            session: As in ``execute``.
            timeout: As in ``execute``, for each call.
            idempotent: As in ``execute``.
        """
        window = 2 * self.size if in_flight is None else positive("in_flight", in_flight)
        self._limit(timeout)  # A wrong value is told here, not at the first item.

        def start(each: Mapping[str, Any] | None) -> Future:
            return self.submit(tool, each, session=session, timeout=timeout, idempotent=idempotent)

        return _ordered(start, args, window)

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        session: Session | str | None = None,
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
        session: Session | str | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> None: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None,
        session: Session | str | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream | None: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        session: Session | str | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream | None:
        """Run one streaming tool: iterate over its chunks, or have ``on_chunk`` called with each.

        Args:
            tool: Name of a streaming tool: a generator, or an asynchronous one.
            args: Keyword arguments of the tool.
            on_chunk: Called with each chunk on this thread; this method then returns ``None`` at
                the end of the stream. What it raises cancels the call and passes through.
            session: As in ``execute``.
            timeout: Seconds for the whole stream. Default: no limit.
            idle_timeout: Seconds from one chunk to the next; ``None``: no limit.

        Returns:
            The stream, unless ``on_chunk`` is given.

        Raises:
            SnakepitError: As in ``execute``; while iterating, where the call had been sent.
        """
        total, idle = limit("timeout", timeout), limit("idle_timeout", idle_timeout)
        native = self._route(session)
        try:
            chunks = self._engine.stream(tool, args, native, total, idle, *self._within())
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)
        stream = Stream(chunks)
        if on_chunk is None:
            return stream
        feed(stream, on_chunk)
        return None

    def session(self, session_id: str, *, affinity: Affinity | None = None) -> Session:
        """Return the session of that id: its calls share one worker.

        Args:
            session_id: The caller's name for it; the adapter sees it in ``session_context``.
            affinity: What a call does while the session's worker is busy or gone.
                ``"strict_queue"``: wait for it; ``SessionLost`` when it is gone.
                ``"strict_fail_fast"``: ``SessionBusy`` when it is, ``SessionLost`` when gone.
                ``"hint"``: take another one. Default: the pool's.
        """
        native = self._bind(session_id, affinity)
        return Session(self, native, affinity or self._config.affinity)

    def execute_in_session(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: Duration | Unset | None = UNSET,
        idempotent: bool = False,
    ) -> Any:
        """Run one tool in the session of that id; ``execute(…, session=session_id)``."""
        return self.execute(tool, args, session=session_id, timeout=timeout, idempotent=idempotent)

    @overload
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream: ...
    @overload
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object],
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> None: ...
    def execute_in_session_stream(
        self,
        session_id: str,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
    ) -> Stream | None:
        """Run one streaming tool in the session of that id; see ``execute_stream``."""
        return self.execute_stream(
            tool,
            args,
            on_chunk=on_chunk,
            session=session_id,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    def await_ready(self, timeout: Duration | None = None) -> None:
        """Wait until every worker is ready.

        Args:
            timeout: Seconds to wait; ``None``: as long as workers may take to start.

        Raises:
            StartError: A worker cannot start, or is not ready within ``timeout``.
        """
        self._engine.await_ready(limit("timeout", timeout))

    def close(self, *, drain: Duration | Unset = UNSET) -> None:
        """Close the pool: no new calls, and at the end no worker is left. Idempotent.

        Args:
            drain: Seconds that calls under way get before they are cancelled. Default: the
                pool's ``drain_timeout``. Then tools that do not stop get the pool's ``grace``,
                5 seconds at most; ending their workers takes some four seconds more at most.
        """
        limited = self._drain_timeout if drain is UNSET else seconds("drain", drain)
        try:
            self._engine.close(limited)
        finally:
            forget(self)
            self._close_tools()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A child of a fork inside the block leaves it too; the pool is its parent's.
        if not self._engine.forked:
            self.close(drain=UNSET if kind is None else 0.0)


def _ordered(
    start: Callable[[Mapping[str, Any] | None], Future],
    args: Iterable[Mapping[str, Any] | None],
    window: int,
) -> Iterator[Any]:
    pending: deque[Future] = deque()
    try:
        for each in args:
            pending.append(start(each))
            if len(pending) == window:
                # Taken out only afterwards: an interrupted wait must cancel this one too.
                result = pending[0].result()
                pending.popleft()
                yield result
        while pending:
            result = pending[0].result()
            pending.popleft()
            yield result
    finally:
        for future in pending:
            future.cancel()
