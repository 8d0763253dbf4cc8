"""Adapters that dispatch by themselves, as those of the original Snakepit do.

.. code-block:: text

    a call of "x" ──▶ the @tool method "x" ─────────────────────▶ result, or items
          no such method, or a class of the original's base
                  ──▶ execute_tool(tool_name="x", arguments={…}, context=…)

Such an adapter gets names that nobody has listed, and whether a call streams is the caller's to
say: hence two tools without a name, one for each verb. ``set_session_context`` is called before
each call of an adapter that has it.

Nothing of this costs anything where an adapter has neither hook.
"""

from __future__ import annotations

import sys

from ._context import SessionContext, current
from ._tool import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

    from ._native import Call, Tools

ANY = "*"
"""In the tools given to a line: what answers ``execute`` of a name that no tool has."""
ANY_STREAM = "*stream"
"""The same of ``execute_stream``."""

ORIGINAL = "__snakepit_original__"
"""Says of a class that it calls its tools as the original did: see ``base_adapter``."""

_ALONE = (str, bytes, bytearray, memoryview, dict)
"""Could be iterated, into characters or keys that nobody meant."""


class HandedContext(SessionContext):
    """The running call, for adapters that keep it: in an attribute, a closure, another thread.

    Where a call runs it is always that one, so that threads which overwrite each other's attribute
    still see their own.
    """

    __slots__ = ("_given",)

    def __init__(self, call: Call | None) -> None:
        self._given = call

    @property
    def _call(self) -> Call | None:  # type: ignore[override]
        return current.get() or self._given

    @property
    def request_metadata(self) -> dict[str, Any]:
        """Empty: requests carry nothing beside their arguments and session."""
        return {}


def find(tools: Tools, name: str, streaming: bool) -> tuple[Callable[..., Any], bool] | None:
    """What answers a call of ``name``, and whether that streams; None: nothing does."""
    return tools.get(name) or tools.get(ANY_STREAM if streaming else ANY)


def dispatches(adapter_class: type) -> bool:
    """Whether ``adapter_class`` has an ``execute_tool`` that is no ``@tool`` itself."""
    method = getattr(adapter_class, "execute_tool", None)
    return callable(method) and not hasattr(method, MARK)


def takes_every_call(adapter_class: type) -> bool:
    """Whether even its ``@tool`` methods are called through its ``execute_tool``."""
    return is_original(adapter_class) and dispatches(adapter_class)


def is_original(adapter_class: type) -> bool:
    """Whether ``adapter_class`` derives from the base class of the original."""
    return bool(getattr(adapter_class, ORIGINAL, False))


def around(adapter: Any, method: Callable[..., Any], streams: bool) -> Callable[..., Any]:
    """``method`` with what the adapter's kind asks for around it; most often ``method`` itself."""
    if streams and is_original(type(adapter)):
        method = _unwrapping(method)
    hook = _context_hook(adapter)
    return method if hook is None else _told(hook, method)


def answers(adapter: Any) -> Callable[..., Any]:
    """What answers ``execute`` of any name: its result, or something to await for it."""
    execute = around(adapter, adapter.execute_tool, streams=False)

    def answer(**arguments: Any) -> Any:
        tool, result = _executed(execute, arguments)
        if hasattr(type(result), "__await__"):
            return _later(result, lambda awaited: _value(tool, awaited))
        return _value(tool, result)

    return _wraps(answer, execute)


def streams(adapter: Any) -> Callable[..., Any]:
    """What answers ``execute_stream`` of any name: items, or something to await for them."""
    execute = around(adapter, adapter.execute_tool, streams=False)

    def stream(**arguments: Any) -> Any:
        _, result = _executed(execute, arguments)
        return _later(result, _items) if hasattr(type(result), "__await__") else _items(result)

    return _wraps(stream, execute)


def registered(adapter: Any) -> list[tuple[str, str, bool]]:
    """Name, description and whether it streams, of what ``adapter.get_tools()`` says it has.

    Each may be an object or a map with ``name``, ``description``, ``supports_streaming``, or they
    are given as a map by name. A listing is a courtesy: one that cannot be had is told of, and
    empty.
    """
    get_tools = getattr(adapter, "get_tools", None)
    if not callable(get_tools) or hasattr(get_tools, ORIGINAL):
        return []
    try:
        said = get_tools()
        named = said.items() if isinstance(said, dict) else [(None, each) for each in said]
        return [_row(name, each) for name, each in named]
    except Exception as error:
        where = type(adapter).__qualname__
        sys.stderr.write(f"{where}.get_tools(): {error!r}; its tools are not listed\n")
        return []


def _row(name: Any, tool: Any) -> tuple[str, str, bool]:
    def field(key: str, default: Any) -> Any:
        return tool.get(key, default) if isinstance(tool, dict) else getattr(tool, key, default)

    name = field("name", name) if name is None else name
    if not isinstance(name, str):
        raise TypeError(f"{tool!r} has no name")
    text = field("description", "") or ""
    lines = str(text).strip().splitlines()
    return name, lines[0].strip() if lines else "", bool(field("supports_streaming", False))


def _executed(execute: Callable[..., Any], arguments: dict[str, Any]) -> tuple[str, Any]:
    call = current.get()
    tool = call.tool if call is not None else ""
    context = HandedContext(call)
    return tool, execute(tool_name=tool, arguments=arguments, context=context)


def _value(tool: str, result: Any) -> Any:
    """``result``, unless it is a stream: its items would be lost."""
    kind = type(result)
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        raise TypeError(f"tool {tool!r} streams its results: use execute_stream")
    return result


def _items(result: Any) -> Iterator[Any] | AsyncIterator[Any]:
    kind = type(result)
    if hasattr(kind, "__aiter__"):
        return _data_later(result.__aiter__())
    alone = isinstance(result, _ALONE) or not hasattr(kind, "__iter__") or _is_chunk(result)
    return _data(iter((result,) if alone else result))


def _data(items: Iterator[Any]) -> Iterator[Any]:
    try:
        for item in items:
            if not _is_chunk(item):
                yield item
            elif item.data is not None or not item.is_final:
                yield item.data
    finally:
        if (close := getattr(items, "close", None)) is not None:
            close()


async def _data_later(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for item in items:
            if not _is_chunk(item):
                yield item
            elif item.data is not None or not item.is_final:
                yield item.data
    finally:
        if (aclose := getattr(items, "aclose", None)) is not None:
            await aclose()


def _is_chunk(item: Any) -> bool:
    """Whether it is a ``StreamChunk``: each adapter may have brought its own class."""
    return hasattr(item, "is_final") and hasattr(item, "data")


def _unwrapping(method: Callable[..., Any]) -> Callable[..., Any]:
    def items(*args: Any, **keywords: Any) -> Any:
        result = method(*args, **keywords)
        return _later(result, _items) if hasattr(type(result), "__await__") else _items(result)

    return _wraps(items, method)


async def _later(awaitable: Any, then: Callable[[Any], Any]) -> Any:
    return then(await awaitable)


def _context_hook(adapter: Any) -> Callable[[SessionContext], object] | None:
    hook = getattr(type(adapter), "set_session_context", None)
    if hook is None or hasattr(hook, ORIGINAL):  # the base's own, which changes nothing
        return None
    bound: Callable[[SessionContext], object] = adapter.set_session_context
    return bound


def _told(
    hook: Callable[[SessionContext], object], method: Callable[..., Any]
) -> Callable[..., Any]:
    def told(*args: Any, **keywords: Any) -> Any:
        call = current.get()
        # Between calls, as it were: what the adapter keeps of it is right in every thread.
        token = current.set(None)
        try:
            hook(HandedContext(call))
        finally:
            current.reset(token)
        return method(*args, **keywords)

    return _wraps(told, method)


def _wraps(wrapper: Callable[..., Any], wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """What ``functools.wraps`` does for those who look for parameters and marks."""
    wrapper.__wrapped__ = wrapped  # type: ignore[attr-defined]
    return wrapper
