"""The hot loop: one frame after the other, one call at a time, on the main thread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from snakepit_bridge import _values
from snakepit_bridge._dispatch import find
from snakepit_bridge._sessions import of_this_worker
from snakepit_bridge._trace import attach, detach

from . import failure, messages
from .messages import Result
from .process.watch import ORPHANED
from .stream import send_items
from .trace import begun

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from snakepit_bridge._native import Call as AnyCall
    from snakepit_bridge._native import Describe, Tools

    from .inbox import Inbox
    from .outbox import Outbox
    from .running import Call, Running


class Server:
    """Runs the calls of one line."""

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        running: Running,
        max_message: int,
        tools: Tools,
        current: ContextVar[AnyCall | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
        substitute: Callable[[Any], Any] | None,
    ) -> None:
        self.inbox = inbox
        self._max_message = max_message
        self.tools = tools
        self._current = current
        self._describe = describe
        self._suggest = suggest
        self._substitute = substitute
        self._pid = os.getpid()
        self.outbox = outbox
        self.running = running

    def run(self) -> bool:
        """Run calls until the host drains (True) or the line ends (False)."""
        while True:
            frame = self.inbox.next_frame()
            if frame is None:
                return False
            said = frame.WhichOneof("frame")
            if said == "start_call":
                self._take_up(frame.start_call)
            elif said == "end_session":
                of_this_worker.end(frame.end_session.session_generation)
                self.stay_ourselves()
            elif said == "drain":
                return True
            # Others are for ends without a control socket, or from a newer host.

    def _take_up(self, start: Any) -> None:
        call = self.running.begin(start, self.inbox)
        call.execution = execution = begun(start, self.outbox.outlet)
        attached = None if execution is None else attach(*execution.told[:2])
        try:
            outcome = self._outcome(start, call)
        finally:
            self.stay_ourselves()
            self.running.end(call)
            self._current.set(None)
            detach(attached)
        if execution is not None:
            execution.end(outcome.get("failure"))
        self.outbox.push(result=Result(call_id=call.id, **outcome))

    def _outcome(self, start: Any, call: Call) -> dict[str, Any]:
        if call.cancelled:
            why = "cancelled before it started"
            return {"failure": failure.plain(messages.CANCELLED, "", why)}
        tool = find(self.tools, call.tool, start.streaming)
        if tool is None:
            return {"failure": self.not_found(call.tool)}
        function, streams = tool
        if streams != start.streaming:
            why = wrong_verb(call.tool, streams)
            return {"failure": failure.plain(messages.EXCEPTION, "TypeError", why)}
        try:
            arguments = keywords_of(start)
        except BaseException as error:
            return {"failure": failure.bare(messages.DECODE, error)}
        if call.session_generation:
            call.session_new = of_this_worker.begin(call.session_generation, start.session_id)
        self._current.set(call)
        try:
            value = function(**arguments)
        except BaseException as error:
            return {"failure": self.raised(error, call)}
        if streams:
            return send_items(self, value, start, call)
        encoded, refused = self.encode(value, "result")
        return {"value": encoded} if refused is None else {"failure": refused}

    def encode(self, value: Any, root: str) -> tuple[bytes, Any]:
        """A value as it travels, and a failure if it cannot or the host would not take it."""
        try:
            encoded = _values.encode(value, root, self._substitute)
        except BaseException as error:
            return b"", failure.unfit(error)
        if len(encoded) > self._max_message:
            return b"", failure.too_large(root, len(encoded), self._max_message)
        return encoded, None

    def raised(self, error: BaseException, call: Call) -> Any:
        """What the adapter's code raised: of a cancelled call it is the answer to the cancel."""
        kind = messages.CANCELLED if call.cancelled else messages.EXCEPTION
        try:
            return failure.reported(kind, self._describe(type(error), error, error.__traceback__))
        except BaseException as second:
            told = failure.bare(kind, error)
            told.traceback = f"(no traceback: describing it raised {type(second).__name__})"
            return told

    def stay_ourselves(self) -> None:
        """End the process if a tool forked it and let it return: the line is not its own."""
        if os.getpid() != self._pid:
            os._exit(ORPHANED)

    def not_found(self, name: str) -> Any:
        try:
            suggestions = self._suggest(name)
        except Exception:
            suggestions = []  # only a courtesy: without it the failure is as true
        why = f"no tool '{name}'"
        return failure.plain(messages.TOOL_NOT_FOUND, "", why, suggestions=suggestions)


def keywords_of(start: Any) -> dict[str, Any]:
    """Of a StartCall."""
    buffers = messages.inline(start.buffers, "args")
    arguments = _values.decode(start.arguments, "args", buffers)
    if type(arguments) is not dict:
        raise TypeError("args: not a map of keywords")
    for key in arguments:
        if not isinstance(key, str):
            raise TypeError(f"args: keyword {key} is no string")
    return arguments


def wrong_verb(tool: str, streams: bool) -> str:
    """Refused before anything runs: a caller of the wrong verb would lose the chunks, or wait."""
    if streams:
        return f"tool '{tool}' streams its results: use execute_stream"
    return (
        f"tool '{tool}' does not stream: use execute, "
        "or declare it with @tool(supports_streaming=True)"
    )
