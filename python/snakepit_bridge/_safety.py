"""``thread_safety_checks``: tells what threads do to each other that the adapter did not say.

Two things are seen: calls of one tool that overlap though it lacks ``@thread_safe_method``, and
attributes of the adapter that a call sets or deletes without holding ``acquire_lock()``. What
happens *inside* of a list or dict that calls share is not seen. Each finding is told once.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock

from ._context import current
from ._thread_safe import is_marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from ._lifecycle import LiveAdapter


class Checks:
    """The checks of one adapter."""

    def __init__(self, live: LiveAdapter, report: Callable[[str], None]) -> None:
        self._live = live
        self._report = report
        self._lock = allocate_lock()
        self._inside: dict[str, int] = {}
        self._safe = {name: safe for name, *_, safe in live.listing}
        self._is_dispatch_safe = is_marked(getattr(live.adapter, "execute_tool", None))
        """Of tools that nobody has listed."""
        self._told: set[tuple[str, str]] = set()
        self._watch_attributes()

    def inside(self, tool: str) -> _Inside:
        """Around a call of ``tool``."""
        return _Inside(self, tool)

    def enter(self, tool: str) -> None:
        if self._safe.get(tool, self._is_dispatch_safe):
            return
        with self._lock:
            self._inside[tool] = overlapping = self._inside.get(tool, 0) + 1
        if overlapping > 1:
            self._tell(
                ("tool", tool),
                f"tool {tool!r} ran in {overlapping} threads at once and lacks "
                "@thread_safe_method: add it when that is safe, or take turns with "
                "acquire_lock()",
            )

    def leave(self, tool: str) -> None:
        if self._safe.get(tool, self._is_dispatch_safe):
            return
        with self._lock:
            self._inside[tool] -= 1
            if not self._inside[tool]:
                del self._inside[tool]

    def touched(self, adapter: object, attribute: str) -> None:
        """A call set or deletes an attribute of the adapter."""
        call = current.get()
        lock = getattr(adapter, "_snakepit_lock", None)
        if call is None or (lock is not None and lock.is_mine):
            return
        self._tell(
            ("attribute", attribute),
            f"attribute {attribute!r} of {type(self._live.adapter).__qualname__} was changed by "
            f"tool {call.tool!r} without acquire_lock(): other threads may be using it",
        )

    def _tell(self, finding: tuple[str, str], text: str) -> None:
        with self._lock:
            if finding in self._told:
                return
            self._told.add(finding)
        sys.stderr.write(f"ThreadSafetyWarning: {text}\n")
        self._report(text)

    def _watch_attributes(self) -> None:
        adapter, checks = self._live.adapter, self
        adapter_class: Any = type(adapter)

        def set_attribute(self: Any, name: str, value: Any) -> None:
            checks.touched(self, name)
            adapter_class.__setattr__(self, name, value)

        def delete_attribute(self: Any, name: str) -> None:
            checks.touched(self, name)
            adapter_class.__delattr__(self, name)

        names = {
            "__setattr__": set_attribute,
            "__delattr__": delete_attribute,
            "__slots__": (),
            "__module__": adapter_class.__module__,
            "__qualname__": adapter_class.__qualname__,
        }
        try:
            metaclass: Any = type(adapter_class)
            watched = metaclass(adapter_class.__name__, (adapter_class,), names)
            object.__setattr__(adapter, "__class__", watched)
        except Exception as error:
            # A metaclass or a layout that allows no such subclass.
            self._tell(
                ("class", adapter_class.__qualname__),
                f"attributes of {adapter_class.__qualname__} cannot be watched: {error}",
            )


class _Inside:
    __slots__ = ("_checks", "_tool")

    def __init__(self, checks: Checks, tool: str) -> None:
        self._checks = checks
        self._tool = tool

    def __enter__(self) -> None:
        self._checks.enter(self._tool)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._checks.leave(self._tool)
