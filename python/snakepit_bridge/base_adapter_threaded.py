"""Thread-safe adapters of the original Snakepit, under the names that they import.

``snakepit_bridge.ThreadSafeAdapter`` is the one for new adapters. This one derives from it and from
``base_adapter.BaseAdapter``, and counts requests as the original did, in all profiles.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident

from ._thread_safe import AdapterLock, ThreadLocalStorage, is_declared
from ._thread_safe import ThreadSafeAdapter as _ThreadSafe
from ._thread_safe import require_thread_safe as _require
from ._thread_safe import thread_safe_method as _mark
from .base_adapter import BaseAdapter, ToolMetadata, tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound="Callable[..., Any]")
    Made = TypeVar("Made", bound="ThreadSafeAdapter")

__all__ = [
    "BaseAdapter",
    "RequestTracker",
    "ThreadLocalStorage",
    "ThreadSafeAdapter",
    "ToolMetadata",
    "require_thread_safe",
    "thread_safe_method",
    "tool",
    "validate_thread_safety",
]

require_thread_safe = _require


class RequestTracker:
    """Counts requests by thread."""

    def __init__(self) -> None:
        self.requests_by_thread: dict[int, int] = {}
        self.active_requests: dict[int, int] = {}
        self.total_requests = 0
        self.lock = allocate_lock()

    def start_request(self, thread_id: int | None = None) -> int:
        """Note that a request begins; its number, from 1."""
        thread = get_ident() if thread_id is None else thread_id
        with self.lock:
            self.total_requests += 1
            self.requests_by_thread[thread] = self.requests_by_thread.get(thread, 0) + 1
            self.active_requests[thread] = self.active_requests.get(thread, 0) + 1
            return self.total_requests

    def end_request(self, thread_id: int | None = None) -> None:
        """Note that a request of the thread has ended."""
        thread = get_ident() if thread_id is None else thread_id
        with self.lock:
            if self.active_requests.get(thread, 0) > 0:
                self.active_requests[thread] -= 1

    def is_inside(self) -> bool:
        """Whether a request of the present thread is under way."""
        return self.active_requests.get(get_ident(), 0) > 0

    def get_stats(self) -> dict[str, int]:
        """``total_requests, active_threads, total_active_requests, threads_seen``."""
        with self.lock:
            active = [count for count in self.active_requests.values() if count > 0]
            return {
                "total_requests": self.total_requests,
                "active_threads": len(active),
                "total_active_requests": sum(active),
                "threads_seen": len(self.requests_by_thread),
            }


class _Tracked:
    def __init__(self, tracker: RequestTracker) -> None:
        self._tracker = tracker

    def __enter__(self) -> int:
        return self._tracker.start_request()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tracker.end_request()


class ThreadSafeAdapter(BaseAdapter, _ThreadSafe):
    """Base of adapters whose tools may overlap; see the module."""

    __thread_safe__ = True

    _tracker: RequestTracker
    _lock: AdapterLock
    _thread_local: ThreadLocalStorage

    # As in BaseAdapter: a subclass may leave out super().__init__().
    def __new__(cls: type[Made], *args: Any, **keywords: Any) -> Made:  # noqa: PYI019, not in 3.10
        self = super().__new__(cls, *args, **keywords)
        self._tracker = RequestTracker()
        self._lock = self._snakepit_lock
        self._thread_local = self._snakepit_locals
        return self

    def track_request(self, request_id: str | None = None) -> Any:
        """Count what runs in ``with self.track_request() as number: …``."""
        return _Tracked(self._tracker)

    def get_stats(self) -> dict[str, Any]:
        """``adapter_class``, ``thread_safe``, and ``tracker``: see ``RequestTracker.get_stats``."""
        return {
            "adapter_class": type(self).__name__,
            "thread_safe": self.__thread_safe__,
            "tracker": self._tracker.get_stats(),
        }


def thread_safe_method(func: Function) -> Function:
    """Mark a method as safe to run in several threads at once, and count its requests.

    A request that is counted already, by the worker or by a method around this one, counts once.
    """
    if isinstance(func, (staticmethod, classmethod)):
        return _mark(func)
    # Here, not above: few adapters need it.
    from functools import wraps

    @wraps(func)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        tracker = getattr(self, "_tracker", None)
        if not isinstance(tracker, RequestTracker) or tracker.is_inside():
            return func(self, *args, **kwargs)
        with _Tracked(tracker):
            return func(self, *args, **kwargs)

    return _mark(counted)  # type: ignore[return-value]


def validate_thread_safety(adapter_class: type) -> bool:
    """Whether ``adapter_class`` says ``__thread_safe__ = True``, itself or by a base."""
    return is_declared(adapter_class)
