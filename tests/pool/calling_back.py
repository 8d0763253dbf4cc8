"""The adapter of the tests of host tools. Imported by workers, so it imports little."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from snakepit_bridge import (
    BaseAdapter,
    HostToolError,
    HostToolNotFound,
    register_decoder,
    register_encoder,
    tool,
)


class Point:
    """A type of the program."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


register_encoder(Point, lambda point: [point.x, point.y], name="tests.Point")
register_decoder("tests.Point", lambda parts: Point(*parts))


def about(inner: HostToolError | None, linked: BaseException | None) -> list[Any] | None:
    """What an error inside another one is, and whether Python prints it."""
    if inner is None:
        return None
    return [inner.type_name, inner.message, inner is linked, type(inner).__name__]


class CallsBack(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.kept: Any = None

    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def back(self, name: str, arguments: Any = None) -> Any:
        return self.session_context.call_host_tool(name, arguments)

    @tool
    async def aback(self, name: str, arguments: Any = None) -> Any:
        return await self.session_context.acall_host_tool(name, arguments)

    @tool
    def every_form(self, value: Any) -> list[Any]:
        context = self.session_context
        return [
            context.call_host_tool("echo", {"value": value}),
            context.call_host_tool("echo", value=value),
            context.host_tools["echo"](value=value),
            context.host_tools["echo"]({"value": value}),
            context.call_elixir_tool("echo", {"value": value}),
            context.elixir_tools["echo"](value=value),
        ]

    @tool
    async def many_at_once(self, count: int) -> list[Any]:
        import asyncio

        calls = (self.session_context.acall_host_tool("echo", value=n) for n in range(count))
        return list(await asyncio.gather(*calls))

    @tool
    def many_threads(self, count: int) -> list[Any]:
        context, results = self.session_context, [None] * count

        def ask(number: int) -> None:
            results[number] = context.call_host_tool("echo", value=number)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    @tool
    def names(self) -> Any:
        tools = self.session_context.host_tools
        return [list(tools), len(tools), "echo" in tools, "none" in tools, tools.describe()]

    @tool
    def collect(self, name: str, arguments: Any = None, upto: int | None = None) -> list[Any]:
        found = []
        with self.session_context.stream_host_tool(name, arguments) as items:
            for item in items:
                found.append(item)
                if len(found) == upto:
                    break
        return found

    @tool
    async def acollect(self, name: str, arguments: Any = None) -> list[Any]:
        return [item async for item in self.session_context.stream_host_tool(name, arguments)]

    @tool
    def pass_on(self, name: str, arguments: Any = None) -> Iterator[Any]:
        yield from self.session_context.stream_host_tool(name, arguments)

    @tool
    async def apass_on(self, count: int) -> AsyncIterator[Any]:
        for number in range(count):
            yield await self.session_context.acall_host_tool("echo", value=number)

    @tool
    def caught(self, name: str, arguments: Any = None) -> dict[str, Any]:
        try:
            self.session_context.call_host_tool(name, arguments)
        except HostToolError as error:
            return {
                "classes": [base.__name__ for base in type(error).__mro__],
                "text": str(error),
                "type_name": error.type_name,
                "message": error.message,
                "traceback": error.traceback,
                "tool": error.tool,
                "cause": about(error.cause, error.__cause__),
                "context": about(error.context, error.__context__),
                "notes": list(getattr(error, "__notes__", ())),
                "members": [member.type_name for member in getattr(error, "exceptions", ())],
                "suggestions": list(getattr(error, "suggestions", ())),
                "not_found": isinstance(error, HostToolNotFound),
            }
        raise AssertionError("it went well")

    @tool
    def caught_as(self, name: str, builtin: str) -> bool:
        import builtins

        try:
            self.session_context.call_host_tool(name)
        except getattr(builtins, builtin):
            return True
        return False

    @tool
    def unfit(self) -> None:
        self.session_context.call_host_tool("echo", value=object())

    @tool
    def unfit_both_ways(self) -> list[Any]:
        context = self.session_context
        return [
            context.call_host_tool("echo", value=object()),
            context.call_host_tool("unfit"),
            list(context.stream_host_tool("unfit_items")),
        ]

    @tool
    def mirrored(self, point: Any) -> Any:
        assert type(point) is Point
        mirrored = self.session_context.call_host_tool("mirror", point=point)
        assert type(mirrored) is Point
        return mirrored

    @tool
    def as_a_mapping(self) -> dict[str, Any]:
        tools = self.session_context.elixir_tools
        unknown = "nothing"
        try:
            tools["none"]["description"]
        except KeyError:
            unknown = "KeyError"
        return {
            "keys": tools.keys(),
            "items": [[name, function["description"]] for name, function in tools.items()],
            "values": [function["name"] for function in tools.values()],
            "called": tools.get("echo")(value=7),
            "get": [tools.get("shout").name, tools.get("none", "none of that name")],
            "unknown": unknown,
        }

    @tool
    def both(self) -> None:
        self.session_context.call_host_tool("echo", {"value": 1}, value=1)

    @tool
    def keep(self) -> None:
        self.kept = self.session_context

    @tool
    def too_late(self) -> str:
        try:
            self.kept.call_host_tool("echo", value=1)
        except RuntimeError as error:
            return str(error)
        return "nothing was raised"

    @tool
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def chain(self, left: int) -> Any:
        """Calls the host, which calls this again, ``left`` times."""
        if left == 0:
            return "bottom"
        return self.session_context.call_host_tool("again", left=left - 1)

    @tool
    def ask_in_a_fork(self) -> str:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                self.session_context.call_host_tool("echo", value=1)
            except RuntimeError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        with open(read) as told:
            text = told.read()
        os.waitpid(child, 0)
        return text


class Overlapping(CallsBack):
    """The same in workers that run several calls at once."""

    __thread_safe__ = True

    @tool
    async def achain(self, left: int) -> Any:
        """As ``chain``, without holding up the loop."""
        if left == 0:
            return "bottom"
        return await self.session_context.acall_host_tool("again", left=left - 1)

    @tool
    async def acollect_slowly(self, name: str, arguments: Any = None) -> list[Any]:
        import asyncio

        found = []
        async for item in self.session_context.stream_host_tool(name, arguments):
            await asyncio.sleep(0)
            found.append(item)
        return found

    @tool
    def pid(self) -> int:
        return os.getpid()
