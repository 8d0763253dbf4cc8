"""Host tools: functions of the host's program that a tool may call back, for its own call.

.. code-block:: text

    call_host_tool ──▶ call.ask_host ──frame──▶ host: its function ──frame──▶ reply ──▶ the value
    acall_host_tool    the same, and the reply wakes the loop instead of a thread

Only what the host has registered, for this call's session or for all, can be called. Whoever waits
here is freed at the latest when the call itself is cancelled or runs out of time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import Any

    from typing_extensions import Self  # noqa: UP035, of Python 3.11

    from ._native import Call, HostReply

# Kinds of failures, as proto/snakepit/v1/failure.proto numbers them.
_TOOL_NOT_FOUND, _CANCELLED, _TOO_LARGE = 2, 5, 6


class HostToolMethods:
    """The part of ``SessionContext`` that calls the host."""

    __slots__ = ()

    if TYPE_CHECKING:
        _call: Call | None

    def call_host_tool(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> Any:
        """Call a function of the host and return its result; any thread, and any coroutine.

        In a coroutine it holds up the loop: ``acall_host_tool`` does not.

        Args:
            name: What the host has registered it as.
            arguments: Its arguments as a map, or else as keywords.
            **keywords: The same.

        Raises:
            HostToolNotFound: There is none of that name for this call; ``error.suggestions``.
            HostToolError: It raised; also an instance of the built-in class that it raised.
            RuntimeError: No call runs here, or too many host tools are under way.
        """
        reply = self._ask(name, arguments, keywords, streaming=False)
        try:
            reply.wait()
            return _value(name, reply.take())
        finally:
            reply.close()

    def stream_host_tool(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> HostToolStream:
        """Call a function of the host that yields, and iterate over what it does.

        Args and errors are those of ``call_host_tool``. Both ``for`` and ``async for`` do.
        """
        return HostToolStream(name, self._ask(name, arguments, keywords, streaming=True))

    async def acall_host_tool(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> Any:
        """Call a function of the host and return its result; the loop goes on meanwhile.

        Args and errors are those of ``call_host_tool``.
        """
        reply = self._ask(name, arguments, keywords, streaming=False)
        try:
            await _ready(reply)
            return _value(name, reply.take())
        finally:
            reply.close()

    @property
    def host_tools(self) -> HostTools:
        """The host's functions by name: ``host_tools["lookup"](key="a")``."""
        return HostTools(self)

    # The names of the original.

    def call_elixir_tool(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> Any:
        """The same as ``call_host_tool``, under its name in Snakepit for Elixir."""
        return self.call_host_tool(name, arguments, **keywords)

    @property
    def elixir_tools(self) -> HostTools:
        """The same as ``host_tools``, under its name in Snakepit for Elixir."""
        return self.host_tools

    def _ask(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        keywords: Mapping[str, Any],
        streaming: bool,
    ) -> HostReply:
        if self._call is None:
            raise RuntimeError(
                f"host tool {name!r}: no call runs here; a host tool is called from inside a tool, "
                "or from a thread or task that was started there with a copy of its context"
            )
        if arguments is not None and keywords:
            raise TypeError(f"host tool {name!r}: pass its arguments as one map or as keywords")
        given = dict(keywords if arguments is None else arguments)
        if self._call.trace is None:
            return self._call.ask_host(name, given, streaming)
        from ._trace import innermost

        return self._call.ask_host(name, given, streaming, innermost(self._call))


class HostTools:
    """The host's functions that this call may use: a mapping from names to functions.

    Whatever asks what there is asks the host.
    """

    __slots__ = ("_context",)

    def __init__(self, context: HostToolMethods) -> None:
        self._context = context

    def __getitem__(self, name: str) -> HostToolProxy:
        """A function that calls the one of that name; whether there is one is seen when it does."""
        return HostToolProxy(self._context, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.describe())

    def __len__(self) -> int:
        return len(self.describe())

    def __contains__(self, name: object) -> bool:
        return name in self.describe()

    def keys(self) -> list[str]:
        """The names."""
        return list(self.describe())

    def values(self) -> list[HostToolProxy]:
        """The functions, in the order of their names."""
        return [tool for _, tool in self.items()]

    def items(self) -> list[tuple[str, HostToolProxy]]:
        """Names and functions."""
        described = self.describe().items()
        return [(name, HostToolProxy(self._context, name, facts)) for name, facts in described]

    def get(self, name: str, default: Any = None) -> Any:
        """The function of that name; ``default``: there is none."""
        facts = self.describe().get(name)
        return default if facts is None else HostToolProxy(self._context, name, facts)

    def describe(self) -> dict[str, dict[str, Any]]:
        """What there is, by name: ``{"description": …, "streaming": …}``."""
        listed = self._context.call_host_tool("")
        return {row.pop("name"): row for row in listed}

    def __repr__(self) -> str:
        return "<the host's tools>"


class HostToolProxy:
    """A function of the host, called like one of one's own.

    What the host says of it is found by ``tool["description"]`` and ``tool["streaming"]``.
    """

    __slots__ = ("_context", "_facts", "name")

    def __init__(
        self, context: HostToolMethods, name: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        self._context = context
        self.name = name
        self._facts = facts

    def __call__(self, arguments: Mapping[str, Any] | None = None, /, **keywords: Any) -> Any:
        """Call it; see ``call_host_tool``."""
        return self._context.call_host_tool(self.name, arguments, **keywords)

    def stream(
        self, arguments: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> HostToolStream:
        """Iterate over what it yields; see ``stream_host_tool``."""
        return self._context.stream_host_tool(self.name, arguments, **keywords)

    async def acall(self, arguments: Mapping[str, Any] | None = None, /, **keywords: Any) -> Any:
        """Await it; see ``acall_host_tool``."""
        return await self._context.acall_host_tool(self.name, arguments, **keywords)

    def __getitem__(self, fact: str) -> Any:
        if fact == "name":
            return self.name
        if self._facts is None:
            # An empty one where the host has none of that name: a KeyError says so.
            self._facts = self._context.host_tools.describe().get(self.name, {})
        return self._facts[fact]

    # By __getitem__ alone it would be an endless sequence.
    __iter__ = None

    def __repr__(self) -> str:
        return f"<host tool {self.name!r}>"


class HostToolStream:
    """What a function of the host yields, as it comes. Closing it tells the host."""

    __slots__ = ("_name", "_reply")

    def __init__(self, name: str, reply: HostReply) -> None:
        self._name = name
        self._reply: HostReply | None = reply

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        reply = self._reply
        if reply is None:
            raise StopIteration
        reply.wait()
        ended, item = self._taken(reply)
        if ended:
            raise StopIteration
        return item

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        reply = self._reply
        if reply is None:
            raise StopAsyncIteration
        try:
            await _ready(reply)
        except BaseException:
            self.close()
            raise
        ended, item = self._taken(reply)
        if ended:
            raise StopAsyncIteration
        return item

    def _taken(self, reply: HostReply) -> tuple[bool, Any]:
        taken = reply.take()
        if taken is not None and taken[0] == "item":
            return False, taken[1]
        self._reply = None
        if taken is None or taken[0] != "end":
            _value(self._name, taken)
        return True, None

    def close(self) -> None:
        """Want no more of it."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.close()

    async def aclose(self) -> None:
        """Want no more of it."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


async def _ready(reply: HostReply) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(_wake_here, future)
        except RuntimeError:
            return  # The loop is closed; nobody waits.

    if reply.watch(wake):
        await future


def _wake_here(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _value(name: str, taken: tuple[str, Any] | None) -> Any:
    what: str
    value: Any
    what, value = ("gone", None) if taken is None else taken
    if what == "value":
        return value
    from .errors import HostToolError, HostToolNotFound, host_tool_error

    if what != "failure":
        raise HostToolError(f"host tool {name!r}: the host is gone", tool=name)
    kind, report, suggestions, size, limit = value
    if kind == _TOOL_NOT_FOUND:
        hint = f"; did you mean {' or '.join(map(repr, suggestions))}?" if suggestions else ""
        raise HostToolNotFound(
            f"host tool {name!r}: the host has none of that name for this call{hint}",
            tool=name,
            suggestions=list(suggestions),
        )
    if kind == _CANCELLED:
        raise HostToolError(
            f"host tool {name!r}: the call that called it was cancelled, or its time ran out",
            type_name="Cancelled",
            tool=name,
        )
    if kind == _TOO_LARGE:
        message = f"its result takes {size} bytes, {limit} are allowed: raise max_message"
        report = ("snakepit.errors.MessageTooLarge", message, "", None)
    raise host_tool_error(report, name, prefix=f"host tool {name!r}: ")
