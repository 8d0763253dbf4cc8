"""The synchronous face: ``Pool``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self, overload

from snakepit._base import PoolBase
from snakepit._checks import positive, refuse_surrogates
from snakepit._duration import UNSET, limit, seconds
from snakepit._future import Future
from snakepit._session import Session
from snakepit._sigterm import forget
from snakepit._stream import Stream, feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from snakepit import SharedRef
    from snakepit._base import Affinity
    from snakepit._duration import Duration, Unset
    from snakepit._retry import RetryPolicy
    from snakepit._tools import ToolInfo


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
        validate_arguments: bool | None = None,
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
            validate_arguments: Hold ``args`` against the tool's schema first; waits for the first
                worker to be ready, which tells it. Default: the pool's.

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
            ArgumentError: ``args`` are not what the tool's schema says; ``error.parameter``.
            EncodeError: A value cannot travel; ``error.path`` tells where it sits.
            MessageTooLarge: Arguments or result are above the pool's ``max_message``.
            StartError: No worker can start.
            PoolClosed: The pool is closed.
            ForkedPool: The pool belongs to the parent of this process.
        """
        native = None if session is None else self._route(session)
        limited: Any = self._limit(timeout)
        if self._validates if validate_arguments is None else validate_arguments:
            args, limited = self._checked(tool, args, limited)
        try:
            return self._engine.execute(
                tool, args, native, limited, idempotent, *self._more(tool, retry)
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
        validate_arguments: bool | None = None,
    ) -> Future:
        """Start one tool and return its future at once.

        Args and errors are those of ``execute``. Arguments are encoded before this returns: what
        cannot travel, a full queue and a closed pool raise here, all else from the future. With
        ``validate_arguments`` this waits for the first worker to be ready.
        """
        native = None if session is None else self._route(session)
        limited: Any = self._limit(timeout)
        if self._validates if validate_arguments is None else validate_arguments:
            args, limited = self._checked(tool, args, limited)
        try:
            reply = self._engine.submit(
                tool, args, native, limited, idempotent, *self._more(tool, retry)
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

    def put(self, value: Any) -> SharedRef:
        """Keep a value where every worker of the pool sees it, and return a reference to it.

        The reference is sent in the value's place, anywhere in the arguments of any call, as often
        as one likes; the worker gets the value. What is large of it, arrays, tables and bytes, is
        copied once, here, and then only read.

        It is kept until the reference is closed or nothing refers to it any more, and no worker
        that was sent it still reads. ``with pool.put(value) as ref:`` closes it.

        Args:
            value: Anything that can travel.

        Raises:
            EncodeError: It cannot, or there is no room; see ``SharedMemory.max_bytes``.
            PoolClosed: The pool is closed.

        Example:
            >>> with pool.put(weights) as ref:
            ...     for batch in batches:
            ...         pool.execute("score", {"weights": ref, "batch": batch})
        """
        return self._engine.put(value)

    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: None = None,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> Stream: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object],
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> None: ...
    @overload
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> Stream | None: ...
    def execute_stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        on_chunk: Callable[[Any], object] | None = None,
        session: Session | str | None = None,
        timeout: Duration | Unset | None = UNSET,
        idle_timeout: Duration | Unset | None = UNSET,
        validate_arguments: bool | None = None,
    ) -> Stream | None:
        """Run one streaming tool: iterate over its chunks, or have ``on_chunk`` called with each.

        Args:
            tool: Name of a streaming tool: a generator, or an asynchronous one.
            args: Keyword arguments of the tool.
            on_chunk: Called with each chunk on this thread; this method then returns ``None`` at
                the end of the stream. What it raises cancels the call and passes through.
            session: As in ``execute``.
            timeout: Seconds for the whole stream; ``None``: no limit. Default: the pool's
                ``stream_timeout``.
            idle_timeout: Seconds from one chunk to the next; ``None``: no limit. Default: the
                pool's.
            validate_arguments: As in ``execute``.

        Returns:
            The stream, unless ``on_chunk`` is given.

        Raises:
            SnakepitError: As in ``execute``; while iterating, where the call had been sent.
        """
        total, idle = self._stream_limits(timeout, idle_timeout)
        native = self._route(session)
        if self._validates if validate_arguments is None else validate_arguments:
            args, total = self._checked(tool, args, total)
        try:
            chunks = self._engine.stream(tool, args, native, total, idle, *self._within(tool))
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)
        stream = Stream(chunks)
        if on_chunk is None:
            return stream
        feed(stream, on_chunk)
        return None

    def session(
        self,
        session_id: str | None = None,
        *,
        affinity: Affinity | None = None,
        ttl: Duration | Unset | None = UNSET,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Open a session, or join the one that is open under that id: its calls share one worker.

        The worker keeps the session's state as long as the session lives. It ends when it is
        closed (``close()``, or leaving the ``with`` block), when it was not used for ``ttl``, or
        with its worker; whatever this object is asked then raises ``SessionClosed``,
        ``SessionExpired`` or ``SessionLost``, while ``session="…"`` opens one anew.

        Args:
            session_id: The caller's name for it, 1 to 256 bytes without control characters; the
                adapter sees it in ``session_context``. Default: one that nobody else has.
            affinity: What a call does while the session's worker is busy or gone.
                ``"strict_queue"``: wait for it; ``SessionLost`` when it is gone.
                ``"strict_fail_fast"``: ``SessionBusy`` when it is, ``SessionLost`` when gone.
                ``"hint"``: take another one. Default: the pool's.
            ttl: Seconds that it may be unused; ``None``: until it is closed. Each call starts them
                anew. Default: the pool's ``session_ttl``, or as it was opened.
            metadata: What the adapter sees as ``session_context.metadata``; 16 KiB at most when
                encoded. Default: none, or as it was opened.

        Raises:
            ConfigError: The id, ``affinity``, ``ttl`` or ``metadata`` cannot be one.
            SessionQuotaExceeded: ``max_sessions`` are open.
            PoolClosed: The pool is closed.
            ForkedPool: The pool belongs to the parent of this process.
        """
        return Session(self, *self._opened(session_id, affinity, ttl, metadata))

    def close_session(self, session_id: str) -> bool:
        """Close the session that is open under that id, whoever opened it.

        Calls of it that have been made end as they would have, then its worker drops its state and
        calls the adapter's ``session_closed``. This waits for neither.

        Returns:
            Whether such a session was open.
        """
        return self._close_session(session_id)

    def execute_in_session(
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
        return self.execute(tool, args, session=session, timeout=timeout, idempotent=idempotent)

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
    ) -> Stream: ...
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
    ) -> None: ...
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
    ) -> Stream | None:
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

    def _named(self, session_id: str, affinity: Affinity | None) -> Session | str:
        if affinity is None:
            return session_id
        return Session(self, self._by_id(session_id, affinity), affinity)

    def tools(self, timeout: Duration | None = None) -> list[ToolInfo]:
        """Return the adapter's tools, as the last worker that became ready told them.

        Waits for the first worker to be ready.

        Args:
            timeout: Seconds to wait; ``None``: as long as workers may take to start.

        Raises:
            StartError: No worker can start, or none is ready within ``timeout``.

        Example:
            >>> [tool.name for tool in pool.tools()]
            ['add']
            >>> pool.tools()[0].parameters["properties"]["a"]
            {'type': 'integer'}
        """
        from snakepit._tools import read

        return read(self._engine.tools(limit("timeout", timeout)))

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
        if self._engine.forked:
            return
        try:
            if _interrupted_twice(error):
                self._engine.kill()
            self.close(drain=UNSET if kind is None else 0.0)
        except KeyboardInterrupt:
            self._engine.kill()
            raise


def _interrupted_twice(error: BaseException | None) -> bool:
    """Whether Ctrl-C came again while the first one was on its way out."""
    first = error.__context__ if isinstance(error, KeyboardInterrupt) else None
    return isinstance(first, KeyboardInterrupt)


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
