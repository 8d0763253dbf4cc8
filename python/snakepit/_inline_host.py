"""Host tools of the inline engine: they run where the adapter does, on the caller's thread.

Values and errors pass through the codec and through text, as with workers.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snakepit import _core, _nesting
from snakepit.errors import ConfigError
from snakepit_bridge._collect import is_tool_name
from snakepit_bridge._report import Reporter
from snakepit_bridge._suggest import closest

if TYPE_CHECKING:
    from snakepit._host_tools import Bound
    from snakepit._inline_call import InlineCall
    from snakepit_bridge._native import Report

    Substitutes = Mapping[str, Callable[[Any], Any] | None]

_report = Reporter()
_EXCEPTION, _TOOL_NOT_FOUND = 1, 2


class InlineHostTools:
    """The registry of one inline pool."""

    def __init__(self, depth: int, substitutes: Substitutes) -> None:
        self._depth = depth
        self._substitutes = substitutes
        self._tools: dict[tuple[str, str | None], tuple[Bound, str, float | None]] = {}

    def add(
        self, tool: Bound, name: str, session: str | None, description: str, timeout: float | None
    ) -> None:
        if not is_tool_name(name):
            raise ConfigError(
                f"name: {name!r} cannot be the name of a tool, which is 1 to 64 of A-Z a-z 0-9 _ . "
                "-, and begins with a letter or digit",
                field="name",
            )
        if (name, session) in self._tools:
            scope = "for all calls" if session is None else f"for session {session!r}"
            raise ConfigError(
                f"name: a tool {name!r} is registered {scope}; unregister it first, or take "
                "another name",
                field="name",
            )
        self._tools[name, session] = tool, description, timeout

    def remove(self, name: str, session: str | None) -> bool:
        return self._tools.pop((name, session), None) is not None

    def end_session(self, session: str) -> None:
        """A session was closed or has expired: its tools go."""
        for key in [key for key in self._tools if key[1] == session]:
            del self._tools[key]

    def rows(self) -> list[_core._HostTool]:
        ordered = sorted(self._tools.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        return [
            (name, session, description, timeout, tool.streaming)
            for (name, session), (tool, description, timeout) in ordered
        ]

    def ask(
        self,
        call: InlineCall,
        name: str,
        arguments: Mapping[str, Any],
        streaming: bool,
        span: bytes | None,
    ) -> InlineHostReply:
        """Run a tool for a call; what comes of it is read off the reply."""
        keywords: dict[str, Any] = _travelled(dict(arguments), "args", self._substitutes["reply"])
        if not name:
            return InlineHostReply([("value", self._listing(call.session_id))])
        visible = self._visible(call.session_id)
        if name not in visible:
            return _failed(_TOOL_NOT_FOUND, ("", "", "", None), closest(name, visible))
        tool, _, timeout = visible[name]
        if tool.streaming != streaming:
            verb = "stream_host_tool" if tool.streaming else "call_host_tool"
            text = f"host tool {name}: use {verb}"
            return _failed(_EXCEPTION, ("TypeError", text, "", None))
        around = _nesting.running.get()
        depth = 1 if around is None else around.depth + 1
        if depth > self._depth:
            text = (
                f"host tool {name}: {depth} host tools inside each other; host_tool_depth allows "
                f"{self._depth}"
            )
            return _failed(_EXCEPTION, ("snakepit.errors.ReentrantCall", text, "", None))
        inside = InlineHostCall(tool, name, call, depth, timeout, span)
        return InlineHostReply(_steps(inside, keywords, self._substitutes["request"]))

    def _visible(self, session: str | None) -> dict[str, tuple[Bound, str, float | None]]:
        everywhere = {name: tool for (name, of), tool in self._tools.items() if of is None}
        own = {name: tool for (name, of), tool in self._tools.items() if of == session}
        return {**everywhere, **own}

    def _listing(self, session: str | None) -> list[dict[str, Any]]:
        return [
            {"name": name, "description": description, "streaming": tool.streaming}
            for name, (tool, description, _) in sorted(self._visible(session).items())
        ]


class InlineHostCall:
    """One call of a host tool, as ``snakepit.current_call()`` reads it."""

    def __init__(
        self,
        tool: Bound,
        name: str,
        call: InlineCall,
        depth: int,
        timeout: float | None,
        span: bytes | None,
    ) -> None:
        self.tool = tool
        self.name = name
        self.caller = call.tool
        self.session_id = call.session_id
        self.depth = depth
        self.origin = None
        self.trace = _inside_of(call.trace, span)
        self.span = None if _nesting.tracing is None else _nesting.tracing.entered(self)
        self._call = call
        self._until = float("inf") if timeout is None else time.monotonic() + timeout

    def over(self, error: BaseException | None = None) -> None:
        """It has ended; the first time counts."""
        if self.span is not None:
            self.span.end(error)

    @property
    def cancelled(self) -> bool:
        return self._call.cancelled

    def remaining(self) -> float | None:
        own, left = self._until - time.monotonic(), self._call.remaining()
        least = own if left is None else min(own, left)
        return None if least == float("inf") else max(0.0, least)


class InlineHostReply:
    """What came of a host tool: ``snakepit_bridge``'s ``HostReply``."""

    def __init__(self, steps: Any) -> None:
        self._steps: Iterator[tuple[str, Any]] = iter(steps)
        self._next: tuple[str, Any] | None = None

    def wait(self) -> None:
        if self._next is None:
            self._next = next(self._steps, None)

    def watch(self, callback: Callable[[], object]) -> bool:
        self.wait()
        return False

    def take(self) -> tuple[str, Any] | None:
        taken, self._next = self._next, None
        return taken

    def close(self) -> None:
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()


def _steps(
    call: InlineHostCall, arguments: dict[str, Any], substitute: Callable[[Any], Any] | None
) -> Iterator[tuple[str, Any]]:
    items: Any = None
    try:
        result = _inside(call, lambda: call.tool.begin(arguments))
        if not call.tool.streaming:
            if hasattr(type(result), "__await__"):
                result = _inside(call, lambda: _on_a_loop(_wait_for(result)))
            value = _travelled(result, "result", substitute)
            call.over()
            yield "value", value
            return
        items = iter(_pulled(result)) if hasattr(type(result), "__aiter__") else iter(result)
        for _ in itertools.count():
            item = _inside(call, lambda: next(items, _END))
            if item is _END:
                break
            yield "item", _travelled(item, "item", substitute)
        call.over()
        yield "end", None
    # Not KeyboardInterrupt: here it is this program's own Ctrl-C.
    except (Exception, SystemExit) as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        call.over(error)
        yield "failure", (_EXCEPTION, _report(type(error), error, trace), [], 0, 0)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
        call.over()


_END: Any = object()


def _inside(call: InlineHostCall, function: Callable[[], Any]) -> Any:
    token = _nesting.running.set(call)  # type: ignore[arg-type]  # what the face reads of one
    attached = None if call.span is None else call.span.attach()
    try:
        return function()
    finally:
        if call.span is not None and attached is not None:
            call.span.detach(attached)
        _nesting.running.reset(token)


def _inside_of(trace: tuple[str, str, bytes] | None, span: bytes | None) -> tuple[str, str] | None:
    """``traceparent`` and ``tracestate`` of a span of a call, by default its execution's."""
    if trace is None:
        return None
    parent, state, execution = trace
    inner = span or execution
    return (f"{parent[:36]}{inner.hex()}{parent[52:]}" if inner else parent), state


def _travelled(value: Any, root: str, substitute: Callable[[Any], Any] | None) -> Any:
    return _core.decode(_core.encode(value, root, substitute), root)


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]


def _pulled(items: Any) -> list[Any]:
    listed: list[Any] = _on_a_loop(_listed(items))
    return listed


def _on_a_loop(coroutine: Any) -> Any:
    """Run it to its end on a thread of its own: the caller's may run a loop already."""
    from contextvars import copy_context

    outcome: list[Any] = []
    context = copy_context()

    def run() -> None:
        try:
            outcome.append((True, context.run(asyncio.run, coroutine)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, name="snakepit-host-loop")
    thread.start()
    thread.join()
    well, value = outcome[0]
    if not well:
        raise value
    return value


def _failed(kind: int, report: Report, suggestions: Any = ()) -> InlineHostReply:
    return InlineHostReply([("failure", (kind, report, list(suggestions), 0, 0))])
