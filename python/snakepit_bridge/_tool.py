"""``@tool``: marks a method as callable by the host. What marks mean is decided in ``_collect``.

The mark is an attribute of the function, so it survives decorators that use ``functools.wraps``,
whichever way round they are stacked.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    Method = TypeVar(
        "Method",
        bound="Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any]",
    )
else:

    def overload(function: Any) -> Any:  # typing itself is too slow to import here.
        return function


MARK = "__snakepit_tool__"
THREAD_SAFE = "__snakepit_thread_safe__"
"""Of functions that ``thread_safe_method`` has marked."""


class ToolMark:
    """What ``@tool`` was told; None where it was told nothing."""

    __slots__ = ("description", "name", "supports_streaming")

    def __init__(
        self, name: str | None, description: str | None, supports_streaming: bool | None
    ) -> None:
        self.name = name
        self.description = description
        self.supports_streaming = supports_streaming


@overload
def tool(function: Method, /) -> Method: ...
@overload
def tool(  # noqa: F811
    *,
    name: str | None = None,
    description: str | None = None,
    supports_streaming: bool | None = None,
) -> Callable[[Method], Method]: ...
def tool(  # noqa: F811
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    supports_streaming: bool | None = None,
) -> Any:
    """Mark a method as a tool; bare (``@tool``) or with arguments.

    The method itself stays what it is. It may be sync or async, a static or class method, or a
    generator or async generator; those stream. Subclasses inherit tools. A method that overrides
    one stays a tool, under the same name, without a decorator of its own; ``predict = None`` in a
    subclass takes the tool away.

    Args:
        name: What the host calls it. Default: the method's name.
        description: One line for people and agents. Default: the docstring's first line.
        supports_streaming: True: the tool returns an iterator (or list) of chunks, although it is
            not a generator. False: it returns one value, although it wraps a generator function.
            Default: generators and async generators stream, everything else does not.

    Example:
        >>> class Adapter:
        ...     @tool(description="Adds two numbers")
        ...     def add(self, a, b):
        ...         return a + b
    """
    mark = ToolMark(name, description, supports_streaming)
    return _put(mark, function) if function is not None else lambda method: _put(mark, method)


def _put(mark: ToolMark, method: Any) -> Any:
    bare = method.__func__ if isinstance(method, (staticmethod, classmethod)) else method
    try:
        # A property is refused here; partialmethod is no callable but can be a method.
        if not callable(bare) and not hasattr(bare, "func"):
            raise TypeError("it is not callable")
        setattr(bare, MARK, mark)
    except (AttributeError, TypeError) as cause:
        raise TypeError(
            f"@tool cannot mark {method!r}: {cause}. Use it on a method, as @tool or "
            "@tool(description=...)"
        ) from None
    return method
