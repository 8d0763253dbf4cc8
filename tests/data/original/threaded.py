"""A threaded adapter as people wrote it for the original Snakepit."""

import hashlib
import threading
import time
from typing import Any, Dict, List

from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method, tool
from snakepit_bridge.logging_config import get_logger

logger = get_logger(__name__)


class ScoringAdapter(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        # Shared, read-only
        self.weights = {"a": 1.0, "b": 2.0}
        # Shared, mutable: locked
        self.totals = {"requests": 0, "most": 0}
        self.history: List[str] = []
        logger.info("%s made", self.__class__.__name__)

    def set_session_context(self, context):
        self._session_context = context

    def initialize(self):
        logger.info("in thread %s", threading.current_thread().name)

    @thread_safe_method
    def execute_tool(self, tool_name: str, arguments: dict, context) -> Any:
        if context and not self._session_context:
            self._session_context = context
        return self.call_tool(tool_name, **arguments)

    @thread_safe_method
    @tool(description="Score a text")
    def score(self, text: str) -> Dict[str, Any]:
        cache = self.get_thread_local("cache", {})
        key = hashlib.sha256(text.encode()).hexdigest()
        cached = key in cache
        if not cached:
            cache[key] = sum(self.weights.get(letter, 0.0) for letter in text)
            self.set_thread_local("cache", cache)
        self._count(text)
        return {
            "score": cache[key],
            "cached": cached,
            "session": self._session_context.session_id,
        }

    @tool(description="Wait, so that calls overlap")
    @thread_safe_method
    def pause(self, seconds: float) -> str:
        time.sleep(seconds)
        return self.session_context.session_id

    @thread_safe_method
    @tool(description="Statistics")
    def statistics(self) -> Dict[str, Any]:
        with self._lock:
            return {**self.get_stats(), "totals": dict(self.totals), "history": self.history[-2:]}

    @thread_safe_method
    @tool
    def clear_caches(self) -> bool:
        self.clear_thread_local()
        return self.get_thread_local("cache") is None

    def _count(self, text: str) -> None:
        with self.acquire_lock():
            self.totals["requests"] += 1
            self.history.append(text)
            active = self._tracker.get_stats()["total_active_requests"]
            self.totals["most"] = max(self.totals["most"], active)
