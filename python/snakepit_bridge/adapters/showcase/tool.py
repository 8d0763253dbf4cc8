"""The two small classes of the original's example adapter that others import from there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["StreamChunk", "Tool"]


class Tool:
    """A function with a name, for tables of an ``execute_tool``."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.name = func.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)


class StreamChunk:
    """An item of a stream. The host's reader gets ``data``; the end of a stream says itself."""

    def __init__(self, data: Any, is_final: bool = False) -> None:
        self.data = data
        self.is_final = is_final

    def __repr__(self) -> str:
        return f"StreamChunk({self.data!r}, is_final={self.is_final})"
