"""An adapter that says more of its tools than a small frame holds."""

from __future__ import annotations

from snakepit_bridge import BaseAdapter, tool


class Verbose(BaseAdapter):
    @tool(description="x" * 200_000)
    def fine(self) -> None: ...
