"""Errors of a worker where ``snakepit`` itself is not installed.

The names and constructors are those of ``snakepit.errors``; the native end prefers that module and
falls back to this one. What a host tool raised is an error here, whichever is there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native import Report


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


class ThreadSafetyError(TypeError):
    """An adapter that does not say that it is thread-safe is to run on several threads."""


class ToolError(TypeError):
    """A class declares its tools in a way that no call could reach; the message names the mend."""


class HostToolError(RuntimeError):
    """A function of the host raised, or has no answer.

    Where it raised a built-in exception, the error is an instance of that class too: ``except
    ValueError`` catches the host's ``ValueError``. It travels as text; nothing is unpickled. What
    the exception was made of is here again: ``__cause__``, ``__context__`` and ``__notes__`` are
    set, so a traceback prints them.
    """

    type_name: str = ""
    """Name of the exception's class, with its module unless that is ``builtins``."""
    message: str = ""
    """The exception's text."""
    traceback: str = ""
    """The traceback as the host would have printed it; of an error inside another, its own frames
    alone. Empty where there is none."""
    tool: str = ""
    """The host tool."""
    cause: HostToolError | None = None
    """``raise … from cause``; ``None``: it had no cause."""
    context: HostToolError | None = None
    """What the host was handling when it raised this; ``None`` where it has a cause."""
    notes: Sequence[str] = ()
    """What the host added by ``add_note``."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args)
        self.__dict__.update(fields)
        if self.cause is not None:
            self.__cause__ = self.cause
        elif self.context is not None:
            self.__context__ = self.context
        if self.notes:
            self.__notes__ = [*self.notes]

    def __str__(self) -> str:
        # As told: some built-in classes would show their argument's repr.
        return str(self.args[0]) if self.args else ""


class HostToolNotFound(HostToolError, LookupError, ValueError):  # noqa: N818, as in ``snakepit.errors``
    """The host has registered no tool of that name for this call.

    A ``ValueError`` as well, which Snakepit for Elixir raised.
    """

    suggestions: Sequence[str] = ()
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
    if name.startswith("HostTool"):
        import builtins

        builtin = name[len("HostTool") :]
        namespace: dict[str, Any] = {"__module__": __name__}
        if builtin in _BUILTINS:
            namespace["__doc__"] = f"A function of the host raised a ``{builtin}``."
            made = type(name, (HostToolError, getattr(builtins, builtin)), namespace)
            return globals().setdefault(name, made)
        group = getattr(builtins, "ExceptionGroup", None)  # before Python 3.11 there is none
        if builtin == "ExceptionGroup" and group is not None:
            namespace["__doc__"] = (
                "A function of the host raised a group: ``except*`` takes it apart."
            )
            namespace["derive"] = _derive
            made = type(name, (HostToolError, group), namespace)
            return globals().setdefault(name, made)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _derive(group: Any, members: Sequence[Any]) -> Any:
    """A group of some of the members, with the fields of the whole."""
    derived = type(group)(group.args[0], members)
    derived.__dict__.update(group.__dict__)
    return derived


def host_tool_error(report: Report, tool: str, *, prefix: str = "") -> HostToolError:
    """Build the error for an exception that a function of the host raised.

    Its class name picks the class here: that of the nearest ancestor in the list above, else plain
    ``HostToolError``.

    Args:
        report: What the host says of it.
        tool: The host tool.
        prefix: What its text starts with.
    """
    type_name, message, traceback, detail = report
    text = f"{prefix}{type_name}: {message}"
    fields: dict[str, Any] = {}
    members: list[HostToolError] = []
    if detail is not None:
        notes, cause, context, exceptions, *_ = detail
        fields["notes"] = notes
        fields["cause"] = None if cause is None else host_tool_error(cause, tool)
        fields["context"] = None if context is None else host_tool_error(context, tool)
        members = [host_tool_error(member, tool) for member in exceptions]
    fields |= {"type_name": type_name, "message": message, "traceback": traceback, "tool": tool}
    if members:
        group = globals().get("HostToolExceptionGroup") or _group()
        if group is not None:
            error: HostToolError = group(text, members, **fields)
            return error
        fields["exceptions"] = tuple(members)
    single: HostToolError = _kind(type_name)(text, **fields)
    return single


def _group() -> Any:
    try:
        return __getattr__("HostToolExceptionGroup")
    except AttributeError:
        return None


def _kind(type_name: str) -> Any:
    import builtins

    raised = getattr(builtins, type_name, None)
    ancestors = raised.__mro__ if isinstance(raised, type) else ()
    names = (ancestor.__name__ for ancestor in ancestors)
    builtin = next((name for name in names if name in _BUILTINS), None)
    return HostToolError if builtin is None else __getattr__(f"HostTool{builtin}")
