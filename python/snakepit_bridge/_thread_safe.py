"""What adapters need whose calls run on several threads at once (``profile="thread"``).

A class says ``__thread_safe__ = True`` when its tools may overlap; subclasses inherit the word.
``ThreadSafeAdapter`` says it, and brings a lock and thread-local values. Nothing here makes code
thread-safe: the pool's ``thread_safety_checks`` tell where it is not (``_safety``).
"""

from __future__ import annotations

from _thread import RLock, _local, allocate_lock, get_ident
from time import monotonic

from ._adapter import BaseAdapter
from ._tool import THREAD_SAFE
from .errors import ThreadSafetyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound="Callable[..., Any]")
    Made = TypeVar("Made", bound="ThreadSafeAdapter")

DECLARED = "__thread_safe__"


def is_declared(adapter_class: type) -> bool:
    """Whether ``adapter_class``, or a base of it, says that its tools may overlap."""
    return bool(getattr(adapter_class, DECLARED, False))


def require_declared(adapter_class: type) -> None:
    """Check that a class may serve in the thread profile.

    Raises:
        ThreadSafetyError: It does not say so; the message names the mend.
    """
    if not is_declared(adapter_class):
        raise ThreadSafetyError(
            f"{adapter_class.__qualname__} does not say that it is thread-safe, and with "
            'profile="thread" several of its calls run at once in one instance. Write '
            f"`{DECLARED} = True` into the class when they may (snakepit_bridge.ThreadSafeAdapter "
            'brings a lock and thread-local values), or use profile="process"'
        )


def thread_safe_method(function: Function) -> Function:
    """Mark a tool as safe to run in several threads at once.

    Changes nothing about the method; ``thread_safety_checks`` report overlapping calls of tools
    that lack the mark. Goes above or below ``@tool``.
    """
    bare = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
    setattr(bare, THREAD_SAFE, True)
    return function


def is_marked(function: Any) -> bool:
    """Whether ``thread_safe_method`` was applied to ``function``, or to what it wraps."""
    for _ in range(64):  # ``__wrapped__`` may be cyclic.
        if getattr(function, THREAD_SAFE, False):
            return True
        function = getattr(function, "__wrapped__", None)
        if function is None:
            return False
    return False


def require_thread_safe(function: Function) -> Function:
    """Refuse a method on adapters that do not say ``__thread_safe__ = True``.

    Raises, when it is called:
        ThreadSafetyError: The adapter's class does not say so.
    """
    # Here, not above: few adapters need it.
    from functools import wraps

    @wraps(function)
    def checked(self: Any, *args: Any, **keywords: Any) -> Any:
        if not is_declared(type(self)):
            raise ThreadSafetyError(
                f"{type(self).__qualname__}.{function.__name__} is for thread-safe adapters only, "
                f"and the class does not say `{DECLARED} = True`"
            )
        return function(self, *args, **keywords)

    return checked  # type: ignore[return-value]


class AdapterLock:
    """A reentrant lock that knows whether the present thread holds it."""

    __slots__ = ("_depth", "_lock", "_owner")

    def __init__(self) -> None:
        self._lock = RLock()
        self._owner = 0
        self._depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = get_ident()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = 0
        self._lock.release()

    @property
    def is_mine(self) -> bool:
        """Whether the present thread holds it."""
        return self._owner == get_ident()


class ThreadLocalStorage:
    """Values of which each thread has its own."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values = _local()

    def get(self, key: str, default: Any = None) -> Any:
        """The present thread's value; ``default`` where it has none."""
        return vars(self._values).get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Set the present thread's value."""
        vars(self._values)[key] = value

    def delete(self, key: str) -> None:
        """Forget the present thread's value, if it has one."""
        vars(self._values).pop(key, None)

    def clear(self) -> None:
        """Forget all values of the present thread."""
        vars(self._values).clear()


class RequestTracker:
    """Counts what runs, by thread."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._active: dict[str, tuple[int, float]] = {}
        self._by_thread: dict[int, int] = {}
        self._total = 0

    def start_request(self, request_id: str) -> None:
        """Note that a request begins in the present thread."""
        with self._lock:
            thread = get_ident()
            self._active[request_id] = (thread, monotonic())
            self._by_thread[thread] = self._by_thread.get(thread, 0) + 1
            self._total += 1

    def end_request(self, request_id: str) -> float:
        """Note its end; the seconds that it took, 0.0 where it is unknown."""
        with self._lock:
            begun = self._active.pop(request_id, None)
        return 0.0 if begun is None else monotonic() - begun[1]

    def get_stats(self) -> dict[str, Any]:
        """``active_requests``, ``total_requests``, ``thread_utilization`` (requests a thread)."""
        with self._lock:
            return {
                "active_requests": len(self._active),
                "total_requests": self._total,
                "thread_utilization": dict(self._by_thread),
            }


class _Tracked:
    __slots__ = ("_request_id", "_tracker")

    def __init__(self, tracker: RequestTracker, request_id: str) -> None:
        self._tracker = tracker
        self._request_id = request_id

    def __enter__(self) -> None:
        self._tracker.start_request(self._request_id)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tracker.end_request(self._request_id)


class ThreadSafeAdapter(BaseAdapter):
    """Base of adapters whose tools may overlap.

    Three patterns: what ``initialize`` sets and nobody changes needs nothing; what each thread
    makes for itself goes into its thread-local values; whatever else is shared and changes is
    touched with ``acquire_lock()`` held.
    """

    __thread_safe__ = True

    _snakepit_lock: AdapterLock
    _snakepit_locals: ThreadLocalStorage
    _snakepit_tracker: RequestTracker

    # As in BaseAdapter: a subclass may leave out super().__init__().
    def __new__(cls: type[Made], *args: Any, **keywords: Any) -> Made:  # noqa: PYI019, not in 3.10
        self = super().__new__(cls, *args, **keywords)
        self._snakepit_lock = AdapterLock()
        self._snakepit_locals = ThreadLocalStorage()
        self._snakepit_tracker = RequestTracker()
        return self

    def acquire_lock(self) -> AdapterLock:
        """The adapter's reentrant lock: ``with self.acquire_lock(): …``."""
        return self._snakepit_lock

    def get_thread_local(self, key: str, default: Any = None) -> Any:
        """The present thread's value of ``key``; ``default`` where it has none."""
        return self._snakepit_locals.get(key, default)

    def set_thread_local(self, key: str, value: Any) -> None:
        """Set the present thread's value of ``key``."""
        self._snakepit_locals.set(key, value)

    def clear_thread_local(self, key: str | None = None) -> None:
        """Forget the present thread's value of ``key``; ``None``: all of them."""
        if key is None:
            self._snakepit_locals.clear()
        else:
            self._snakepit_locals.delete(key)

    def track_request(self, request_id: str) -> _Tracked:
        """Count what runs in ``with self.track_request("id"): …``; the worker does so for calls."""
        return _Tracked(self._snakepit_tracker, request_id)

    def get_stats(self) -> dict[str, Any]:
        """``active_requests``, ``total_requests``, ``thread_utilization`` (requests a thread)."""
        return self._snakepit_tracker.get_stats()
