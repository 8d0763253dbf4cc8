"""An adapter from its construction to ``cleanup``: made, initialized, its tools bound, ended.

What calls the tools is not here: a worker's line, or the host itself for an inline pool.
"""

from __future__ import annotations

from _thread import allocate_lock

from . import _dispatch
from ._adapter import WorkerInfo, starting
from ._collect import Declaration, declarations
from ._context import current
from ._schema import parameters
from .errors import ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from ._loop import LoopThread
    from ._native import Listed


class LiveAdapter:
    """An instance of an adapter class, and the tools it offers."""

    def __init__(
        self, adapter_class: type, arguments: Mapping[str, Any], worker: WorkerInfo
    ) -> None:
        """Make the adapter and call its ``initialize``; what either raises comes out.

        Raises:
            ToolError: See ``require_tools``.
        """
        self._lock = allocate_lock()
        self._loop: LoopThread | None = None
        declared = require_tools(adapter_class)
        token = starting.set(worker)
        try:
            self.adapter = adapter_class(**arguments)
        finally:
            starting.reset(token)
        try:
            self._call_hook("initialize")
            # After initialize: it may replace a tool on the instance.
            self.tools = {d.name: (self._bind(d), d.streams) for d in declared}
            self.bare = {d.name: (self._method(d), d.streams) for d in declared}
            """As ``tools``, but what they return may have to be awaited."""
            self.listing: list[Listed] = [
                (d.name, d.description, d.streams, self._parameters(d), d.thread_safe)
                for d in declared
            ]
            if _dispatch.dispatches(adapter_class):
                self._dispatch_calls()
        except BaseException:
            self.close()
            raise

    def find(self, name: str, streaming: bool) -> tuple[Callable[..., Any], bool] | None:
        """What answers a call of ``name``, and whether that streams; None: nothing does."""
        return _dispatch.find(self.tools, name, streaming)

    def session_closed(self, session_id: str) -> None:
        """Call the adapter's ``session_closed``, where it has one."""
        self._call_hook("session_closed", session_id)

    def cleanup(self) -> None:
        """Call the adapter's ``cleanup``, then end its loop, even when ``cleanup`` raises."""
        try:
            self._call_hook("cleanup")
        finally:
            self.close()

    def close(self) -> None:
        """End the loop without ``cleanup``."""
        if self._loop is not None:
            self._loop.close()

    def _call_hook(self, name: str, *arguments: str) -> None:
        hook = getattr(self.adapter, name, None)
        if hook is not None:
            self._finished(hook(*arguments))

    def _dispatch_calls(self) -> None:
        """Let the adapter's ``execute_tool`` have the calls that are its."""
        if _dispatch.takes_every_call(type(self.adapter)):
            self.tools.clear()
            self.bare.clear()
        listed = {name for name, *_ in self.listing}
        registered = _dispatch.registered(self.adapter)
        self.listing += [(*row, "", False) for row in registered if row[0] not in listed]
        answer, stream = _dispatch.answers(self.adapter), _dispatch.streams(self.adapter)
        any_stream = _dispatch.ANY_STREAM
        self.bare |= {_dispatch.ANY: (answer, False), any_stream: (stream, True)}
        self.tools[_dispatch.ANY] = (lambda **keywords: self._finished(answer(**keywords)), False)
        self.tools[any_stream] = (
            lambda **keywords: self._chunks(any_stream, self._finished(stream(**keywords))),
            True,
        )

    def _method(self, declared: Declaration) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self.adapter, declared.attribute)
        return _dispatch.around(self.adapter, method, declared.streams)

    def _bind(self, declared: Declaration) -> Callable[..., Any]:
        method = self._method(declared)
        if declared.streams:
            if declared.generates:
                return method
            return lambda *args, **keywords: self._chunks(
                declared.name, self._finished(method(*args, **keywords))
            )
        if declared.awaits:
            return lambda *args, **keywords: self._finished(method(*args, **keywords))
        # Nothing between the line and the method: this is the hot path.
        return method

    def _parameters(self, declared: Declaration) -> str:
        where = f"{type(self.adapter).__qualname__}.{declared.attribute}"
        return parameters(where, getattr(self.adapter, declared.attribute), declared.docstring)

    def _finished(self, result: Any) -> Any:
        """``result``, awaited if that is what it is for."""
        if hasattr(type(result), "__await__"):
            return self.running_loop().run(result, current.get())
        return result

    def _chunks(self, tool: str, result: Any) -> Iterator[Any]:
        if hasattr(type(result), "__aiter__"):
            return self.running_loop().iterate(result.__aiter__(), current.get())
        chunks: Iterator[Any] = require_chunks(tool, result)
        return chunks

    def running_loop(self) -> LoopThread:
        """The loop of the adapter's coroutines, started with the first that asks for it."""
        with self._lock:
            if self._loop is None:
                # Here, not above: an adapter without coroutines pays nothing for asyncio.
                from ._loop import LoopThread

                self._loop = LoopThread()
            return self._loop


def require_chunks(tool: str, produced: Any) -> Any:
    """The iterator of what a streaming tool returned, async where that is.

    Raises:
        ToolError: It is nothing to iterate.
    """
    kind = type(produced)
    if hasattr(kind, "__aiter__"):
        return produced.__aiter__()
    # Both could be iterated, into keys or characters that nobody meant.
    if not hasattr(kind, "__iter__") or isinstance(produced, (str, bytes, dict)):
        raise ToolError(
            f"{tool!r} has supports_streaming=True, so it must return an iterator of chunks; "
            f"it returned {kind.__name__}"
        )
    return iter(produced)


def require_tools(adapter_class: type) -> list[Declaration]:
    """The tools that ``adapter_class`` declares.

    Raises:
        ToolError: They break a rule (see ``_collect``), or an arbitrary class declares none and
            does not dispatch by itself.
    """
    from ._adapter import BaseAdapter

    declared = declarations(adapter_class)
    is_adapter = issubclass(adapter_class, BaseAdapter) or _dispatch.dispatches(adapter_class)
    if not declared and not is_adapter:
        raise ToolError(
            f"{adapter_class.__qualname__} is no adapter: it has no @tool method, no execute_tool, "
            "and does not derive from snakepit_bridge.BaseAdapter"
        )
    return declared
