"""Errors of a worker where ``snakepit`` itself is not installed.

The names and constructors are those of ``snakepit.errors``; the native end prefers that module and
falls back to this one. What a host tool raised is an error here, whichever is there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class EncodeError(ValueError):
    """A value cannot travel; ``path`` says where inside of the value, ``type_name`` what it is."""

    def __init__(self, message: str, *, path: str = "", type_name: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.type_name = type_name


class DecodeError(ValueError):
    """Bytes that are no value; ``path`` says how far into the value they made sense."""

    def __init__(self, message: str, *, path: str = "", type_name: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.type_name = type_name


class AdapterSourceError(LookupError):
    """The adapter's module, script or class does not exist in the worker."""


class ToolError(TypeError):
    """A class declares its tools in a way that no call could reach; the message names the mend."""


class HostToolError(RuntimeError):
    """A function of the host raised, or has no answer.

    Where it raised a built-in exception, the error is an instance of that class too: ``except
    ValueError`` catches the host's ``ValueError``. It travels as text; nothing is unpickled.
    """

    def __init__(
        self,
        text: str,
        *,
        type_name: str = "",
        message: str = "",
        traceback: str = "",
        tool: str = "",
    ) -> None:
        super().__init__(text)
        self.type_name = type_name
        """Name of the exception's class, with its module unless that is ``builtins``."""
        self.message = message
        """The exception's text."""
        self.traceback = traceback
        """The traceback as the host would have printed it; empty where there is none."""
        self.tool = tool
        """The host tool."""

    def __str__(self) -> str:
        # As told: some built-in classes would show their argument's repr.
        return str(self.args[0]) if self.args else ""


class HostToolNotFound(HostToolError, LookupError):  # noqa: N818, as in ``snakepit.errors``
    """The host has registered no tool of that name for this call."""

    def __init__(self, text: str, *, tool: str = "", suggestions: Sequence[str] = ()) -> None:
        super().__init__(text, tool=tool)
        self.suggestions = suggestions
        """Names that this call may use and that are similar, the closest first."""


# As in ``snakepit.errors``: left out is what means something to the interpreter, or has a
# constructor of its own.
# fmt: off
_BUILTINS = (
    "ArithmeticError", "AssertionError", "AttributeError", "BufferError", "ConnectionError",
    "EOFError", "FileExistsError", "FileNotFoundError", "ImportError", "IndexError",
    "KeyError", "LookupError", "MemoryError", "ModuleNotFoundError", "NameError",
    "NotImplementedError", "OSError", "OverflowError", "PermissionError", "RecursionError",
    "TimeoutError", "TypeError", "UnicodeError", "ValueError", "ZeroDivisionError",
)
# fmt: on


def __getattr__(name: str) -> Any:
    """``HostToolValueError`` and its like, made when they are first needed."""
    if name.startswith("HostTool") and (builtin := name[len("HostTool") :]) in _BUILTINS:
        import builtins

        text = f"A function of the host raised a ``{builtin}``."
        namespace = {"__module__": __name__, "__doc__": text}
        made = type(name, (HostToolError, getattr(builtins, builtin)), namespace)
        return globals().setdefault(name, made)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def host_tool_error(text: str, *, type_name: str, **fields: Any) -> HostToolError:
    """Build the error for an exception that a function of the host raised.

    ``type_name`` picks the class: that of the nearest ancestor in the list above, else plain
    ``HostToolError``.
    """
    import builtins

    raised = getattr(builtins, type_name, None)
    ancestors = raised.__mro__ if isinstance(raised, type) else ()
    names = (ancestor.__name__ for ancestor in ancestors)
    builtin = next((name for name in names if name in _BUILTINS), None)
    made: Any = HostToolError if builtin is None else __getattr__(f"HostTool{builtin}")
    error: HostToolError = made(text, type_name=type_name, **fields)
    return error
