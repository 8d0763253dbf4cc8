"""A streaming adapter as people wrote it for the original Snakepit."""

import asyncio
from typing import Any, Dict

from snakepit_bridge import SessionContext, telemetry
from snakepit_bridge.adapters.showcase.tool import StreamChunk, Tool
from snakepit_bridge.base_adapter import BaseAdapter, tool


class ProgressHandler:
    def __init__(self):
        self.closed = 0

    def get_tools(self) -> Dict[str, Tool]:
        return {
            "progress": Tool(self.progress),
            "ticks": Tool(self.ticks),
            "table": Tool(self.table),
            "summary": Tool(self.summary),
            "endless": Tool(self.endless),
            "closed": Tool(lambda ctx: self.closed),
        }

    def progress(self, ctx, steps: int = 4) -> StreamChunk:
        for i in range(steps):
            telemetry.emit("handler.step", {"step": i}, {"session": ctx.session_id})
            yield StreamChunk(
                {"step": i + 1, "progress": (i + 1) / steps * 100},
                is_final=(i == steps - 1),
            )

    async def ticks(self, ctx, count: int = 3):
        for i in range(count):
            await asyncio.sleep(0)
            yield StreamChunk({"tick": i})
        yield StreamChunk(None, is_final=True)

    def table(self, ctx, rows: int = 2):
        return [[row, row * row] for row in range(rows)]

    def summary(self, ctx) -> Dict[str, Any]:
        return {"session": ctx.session_id, "tools": len(self.get_tools())}

    def endless(self, ctx):
        try:
            number = 0
            while True:
                yield {"number": number}
                number += 1
        finally:
            self.closed += 1


class ProgressAdapter(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.handlers = {"progress": ProgressHandler()}
        self._handler_tools = {}
        for handler in self.handlers.values():
            self._handler_tools.update(handler.get_tools())
        # Session context will be set by the framework
        self.session_context = None

    def set_session_context(self, session_context: SessionContext):
        self.session_context = session_context

    def execute_tool(self, tool_name: str, arguments: Dict[str, Any], context) -> Any:
        if tool_name in self._handler_tools:
            return self._handler_tools[tool_name].func(context, **arguments)
        return self.call_tool(tool_name, **arguments)

    @tool(description="Echo back provided arguments")
    def echo(self, **kwargs) -> Dict[str, Any]:
        return {"echo": kwargs, "session": self.session_id}

    @tool("Process text", False, ["language"])
    def process_text(self, text: str, operation: str = "upper") -> Dict[str, Any]:
        """Process text with the operation given."""
        operations = {"upper": str.upper, "length": len}
        return {"result": operations[operation](text), "success": True}

    @tool(description="Stream data in chunks", supports_streaming=True)
    def stream_data(self, count: int = 3):
        # This returns a generator for streaming
        return self._handler_tools["progress"].func(self.session_context, steps=count)

    @tool
    def about(self) -> Dict[str, Any]:
        marked = [name for name in dir(type(self)) if hasattr(getattr(self, name), "_tool_metadata")]
        return {
            "marked": sorted(marked),
            "registered": [
                (each.name, each.supports_streaming, [(p.name, p.type, p.required) for p in each.parameters])
                for each in self.get_tools()
            ],
        }


class DecoratedStreams(BaseAdapter):
    """Nothing but decorated methods, as the original's guide shows them."""

    @tool(description="Stream with explicit chunks", supports_streaming=True)
    def numbered(self, count: int):
        for i in range(count):
            yield StreamChunk({"n": i}, is_final=False)
        yield StreamChunk({"status": "complete"}, is_final=True)

    @tool(description="The same, later", supports_streaming=True)
    async def numbered_later(self, count: int):
        for i in range(count):
            await asyncio.sleep(0)
            yield StreamChunk({"n": i})
