"""What a call of the inline engine is to its caller and to the adapter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from snakepit import _core
from snakepit.errors import (
    ArgumentError,
    Cancelled,
    EncodeError,
    ForkedPool,
    MessageTooLarge,
    PoolClosed,
    SnakepitError,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from snakepit._inline import InlineEngine
    from snakepit._inline_host import InlineHostReply, InlineHostTools
    from snakepit._inline_outlet import InlineOutlet
    from snakepit._inline_sessions import InlineSession, InlineSessions, Life
    from snakepit._inline_telling import ToldCall
    from snakepit._inline_trace import TracedInline

# The end passes through the engine as a value: a StopIteration is an error there like any other.
_END = object()

# Raised where the call is made, since there is none to speak of; all else is the reply's.
_REFUSALS = (ArgumentError, EncodeError, ForkedPool, MessageTooLarge, PoolClosed)


class InlineCall:
    """The call that a tool runs for, as ``session_context`` reads it."""

    def __init__(
        self,
        call_id: int,
        tool: str,
        sessions: InlineSessions,
        session: InlineSession | None,
        limit: float,
        host: InlineHostTools,
        made: float,
    ) -> None:
        self.made = made
        self.begun = time.monotonic()
        self._host = host
        self.outlet: InlineOutlet | None = None
        """Where what its tool tells leaves."""
        self.traced: TracedInline | None = None
        self.id = call_id
        self.tool = tool
        self._sessions = sessions
        self._life: Life | None = None
        self.session_new = False
        if session is not None:
            self._life, self.session_new = sessions.enter(session)
        self.session_id = None if self._life is None else self._life.id
        self.session_generation = 0 if self._life is None else self._life.generation
        self.cancelled = False
        self._over = False
        self._deadline = time.monotonic() + limit
        self._on_cancel: Callable[[], object] | None = None

    @property
    def trace(self) -> tuple[str, str, bytes] | None:
        return None if self.traced is None else self.traced.told

    def session_metadata(self) -> dict[str, Any]:
        if self._life is None or not self._life.metadata:
            return {}
        metadata: dict[str, Any] = _core.decode(self._life.metadata, "metadata")
        return metadata

    def session_state(self) -> dict[str, Any]:
        return {} if self._life is None else self._sessions.state(self._life)

    def ended(self) -> None:
        """It has an outcome; once."""
        if self._life is not None and not self._over:
            self._sessions.leave(self._life)
        self._over = True

    def remaining(self) -> float | None:
        left = self._deadline - time.monotonic()
        return None if left == float("inf") else max(0.0, left)

    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        self._on_cancel = callback
        if callback is not None and self.cancelled:
            callback()

    def ask_host(
        self, name: str, arguments: dict[str, Any], streaming: bool, span: bytes | None = None
    ) -> InlineHostReply:
        return self._host.ask(self, name, arguments, streaming, span)

    def cancel(self) -> None:
        self.cancelled = True
        if self._on_cancel is not None:
            self._on_cancel()


class InlineReply:
    """A call that has ended: it ran when it was made."""

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self._value = value
        self._error = error

    def done(self) -> bool:
        return True

    def running(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def result(self, timeout: float | None = None) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._error

    def watch(self, callback: Callable[[], object]) -> None:
        callback()


def replied(execute: Callable[[], Any]) -> InlineReply:
    """Make a call, and return it as what has ended; a refusal is raised."""
    try:
        value = execute()
    except SnakepitError as error:
        if isinstance(error, _REFUSALS) and not error.may_have_run:
            raise
        return InlineReply(None, error)
    return InlineReply(value, None)


class InlineChunks:
    """A stream whose generator takes a step when a chunk is asked for."""

    def __init__(
        self, engine: InlineEngine, call: InlineCall, chunks: Iterator[Any], told: ToldCall
    ) -> None:
        self._engine = engine
        self._call = call
        self._chunks = chunks
        self._told = told
        self._open = True

    def __next__(self) -> Any:
        if not self._open:
            raise StopIteration
        try:
            chunk = self._engine.run(self._call, lambda: next(self._chunks, _END))
            if chunk is not _END:
                return self._engine.arrived(self._call, chunk)
        except BaseException as error:
            self._over()
            self._told.ended(error)
            raise
        self._over()
        self._engine.counts.ended(self._call)
        self._told.ended()
        raise StopIteration

    def next_async(self, inbox: _core.Inbox, future: asyncio.Future[Any]) -> bool:
        try:
            future.set_result(self.__next__())
        except StopIteration:
            future.set_exception(StopAsyncIteration())
        except Exception as error:
            future.set_exception(error)
        return True

    def expire(self) -> None:
        """Only waits can take too long, and here is none: the caller's own thread does the work."""
        self.close()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._call.cancel()
        close = getattr(self._chunks, "close", None)
        given_up = Cancelled(f"{self._call.tool}: given up", tool=self._call.tool)
        try:
            if close is not None:
                self._engine.run(self._call, close)
            self._engine.counts.ended(self._call, given_up)
        finally:
            self._over()
            self._told.ended(given_up)

    def _over(self) -> None:
        self._open = False
        self._call.ended()
        self._engine.counts.streaming -= 1
