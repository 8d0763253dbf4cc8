"""An adapter as people wrote it for the original Snakepit: it dispatches by itself."""

import logging
import time
from typing import Any, Dict, Optional

from snakepit_bridge.logging_config import configure_logging, get_logger

configure_logging()
logger = get_logger(__name__)


class InventoryAdapter:
    """No base class: the original asked for these methods only."""

    def __init__(self):
        self.session_context = None
        self.initialized = False
        self.stock: Dict[str, int] = {}
        self.calls = 0
        self._handlers = {
            "ping": self._ping,
            "add_stock": self._add_stock,
            "count": self._count,
            "whoami": self._whoami,
            "reserve": self._reserve,
        }

    def set_session_context(self, session_context):
        self.session_context = session_context
        self.calls += 1

    async def initialize(self):
        self.initialized = True
        logger.info("ready, session %s", self.session_context and self.session_context.session_id)

    async def cleanup(self):
        self.initialized = False

    def get_tools(self):
        return [
            {"name": name, "description": f"Inventory: {name}", "supports_streaming": False}
            for name in self._handlers
        ]

    def execute_tool(self, tool_name: str, arguments: Dict[str, Any], context) -> Any:
        started = time.monotonic()
        handler = self._handlers.get(tool_name)
        if handler is None:
            raise ValueError(f"Unknown tool: {tool_name}")
        result = handler(context, **arguments)
        logger.debug("%s took %.3f s", tool_name, time.monotonic() - started)
        return result

    def _ping(self, ctx, message: str = "pong") -> Dict[str, Any]:
        return {"status": "ok", "message": message, "initialized": self.initialized}

    def _add_stock(self, ctx, item: str, amount: int = 1) -> Dict[str, Any]:
        self.stock[item] = self.stock.get(item, 0) + amount
        return {"item": item, "stock": self.stock[item]}

    def _count(self, ctx, item: Optional[str] = None) -> Any:
        return sum(self.stock.values()) if item is None else self.stock.get(item, 0)

    def _whoami(self, ctx) -> Dict[str, Any]:
        return {
            "context": ctx.session_id,
            "attribute": self.session_context.session_id,
            "metadata": dict(ctx.request_metadata),
            "calls": self.calls,
        }

    async def _reserve(self, ctx, item: str, amount: int) -> bool:
        if self.stock.get(item, 0) < amount:
            return False
        self.stock[item] -= amount
        return True


if not logging.getLogger().handlers:
    raise RuntimeError("configure_logging() has configured nothing")
