"""What is raised in the host for an exception of a tool.

.. code-block:: text

    what the worker told ─▶ remote_error ─┬─ the pool lists its class  ─▶ RemoteError and that one
                                          ├─ it is a group             ─▶ RemoteExceptionGroup
                                          ├─ shapes, devices, memory   ─▶ ShapeMismatch … ┐ and the
                                          └─ anything else             ─▶ RemoteError     ┘ built-in

A class of two that nobody has written is made when it is first needed; such a class pickles by the
two that it is made of.
"""

# ruff: noqa: N818 (as in errors.py, from where they are imported)

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from snakepit._error import SnakepitError

if TYPE_CHECKING:
    from snakepit._stats import WorkerRef


class RemoteError(SnakepitError):
    """The adapter's code raised; its worker is well.

    Where the exception was a built-in one, the error is an instance of that class too:
    ``except ValueError`` catches a tool's ``ValueError``. What the exception was made of is here
    again: ``__cause__``, ``__context__`` and ``__notes__`` are set, so a traceback prints them.
    """

    may_have_run: bool = True
    type_name: str | None = None
    """Name of the exception's class, with its module unless that is ``builtins``."""
    remote_message: str | None = None
    remote_traceback: str | None = None
    """The traceback as the worker would have printed it; of an error inside another, its own frames
    alone."""
    cause: RemoteError | None = None
    """``raise … from cause``; ``None``: it had no cause."""
    context: RemoteError | None = None
    """What the tool was handling when it raised this; ``None`` where it has a cause, or hides that.

    Python sets ``__context__`` anew when the host raises while it handles something itself; this
    stays."""
    notes: Sequence[str] = ()
    """What the tool added by ``add_note``."""
    remote_args: tuple[Any, ...] | None = None
    """The exception's arguments, as they have arrived; ``None`` unless the pool lists its class
    (``errors=``) and they could travel."""
    worker: WorkerRef | None = None
    tool: str | None = None
    session: str | None = None

    _is_inner = False

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self._link()

    def _link(self) -> None:
        if self.cause is not None:
            self.__cause__ = self.cause
        elif self.context is not None:
            self.__context__ = self.context
        if self.notes:
            self.__notes__ = [*self.notes]

    def __str__(self) -> str:
        # The whole text is in the outermost error: its own frames would stand there twice.
        return self.message if self._is_inner else super().__str__()

    def __reduce__(self) -> Any:
        parts = type(self).__dict__.get("_parts")
        if parts is None:
            return super().__reduce__()
        return _blank_of, (*parts, self.message), self.__dict__

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        super().__setstate__(state)
        self._link()


class RemoteExceptionGroup(RemoteError, ExceptionGroup["RemoteError"]):
    """A tool raised an exception group: ``except*`` takes it apart."""

    def __new__(
        cls, message: str = "", exceptions: Sequence[RemoteError] = (), **fields: Any
    ) -> Self:
        # A group has members. One without is made by unpickling alone, which brings them.
        return super().__new__(cls, message, exceptions or [RemoteError("a member")])

    def __init__(
        self, message: str = "", exceptions: Sequence[RemoteError] = (), **fields: Any
    ) -> None:
        super().__init__(message, **fields)

    def derive(self, excs: Sequence[Any], /) -> Any:
        """Make a group of some of the members; with the fields of this one."""
        group = RemoteExceptionGroup(self.message, excs)
        group.__dict__.update(self.__dict__)
        return group

    def __reduce__(self) -> Any:
        return RemoteExceptionGroup, (self.message, [*self.exceptions]), self.__dict__


class ShapeMismatch(RemoteError):
    """Arrays that do not fit: the message of a numeric library said which shapes they have.

    Fields that the message does not tell are ``None``.
    """

    expected: tuple[int, ...] | None = None
    """The shape that was needed; of two operands, the first one's."""
    got: tuple[int, ...] | None = None
    """The shape that was there instead; of two operands, the second one's."""
    dimension: int | None = None
    """In which they differ."""
    expected_dim: int | None = None
    """Its length as it was needed."""
    got_dim: int | None = None
    """Its length as it was."""
    operation: str | None = None
    """The library's function."""


class DeviceMismatch(RemoteError):
    """Tensors on different devices."""

    expected: str | None = None
    """Where one was needed, or the first one was, like ``"cuda:0"``."""
    got: str | None = None
    """Where it was, or the second one was."""
    operation: str | None = None
    """The library's function."""


class OutOfMemory(RemoteError):
    """No memory was left, of a device or of the host. The worker is well.

    A worker that the kernel killed for want of memory is a ``WorkerDied`` whose cause is ``"oom"``.
    """

    device: str | None = None
    """Which one, like ``"cuda:0"``, ``"mps"`` or ``"cpu"``; ``None``: the message does not say."""
    requested_bytes: int | None = None
    free_bytes: int | None = None
    """Of the device, when it was asked."""
    total_bytes: int | None = None
    """That the device has."""
    suggestions: Sequence[str] = ()
    """What may help, the likeliest first."""


_DIAGNOSES: dict[str, type[RemoteError]] = {
    kind.__name__: kind for kind in (ShapeMismatch, DeviceMismatch, OutOfMemory)
}
_listed: dict[str, type[RemoteError]] = {}
"""Classes that pools have listed, ``module:Name``, as what is raised for them."""
_made: dict[tuple[type, type], type[RemoteError]] = {}


def remote_error(
    message: str,
    *,
    diagnosis: tuple[str, dict[str, Any]] | None = None,
    exceptions: Sequence[RemoteError] = (),
    listed: str | None = None,
    is_inner: bool = False,
    **fields: Any,
) -> RemoteError:
    """Build the error for an exception that a tool raised.

    Args:
        message: One line for people.
        diagnosis: Name of a class above and its fields.
        exceptions: Members of a group.
        listed: The class among those that a pool lists.
        is_inner: It is the cause, the context or a member of another one.
        **fields: Fields of ``RemoteError``. ``type_name`` picks the class: that of the nearest
            built-in ancestor in ``_remote_classes``, else plain ``RemoteError``.
    """
    if listed in _listed:
        error = _restored(_listed[listed], message, fields)
    elif exceptions:
        error = RemoteExceptionGroup(message, exceptions, **fields)
    else:
        kind = _kind(fields.get("type_name") or "")
        if diagnosis is not None:
            name, more = diagnosis
            kind, fields = _mixed(_DIAGNOSES[name], kind), {**fields, **more}
        error = kind(message, **fields)
    if is_inner:
        error._is_inner = True
    return error


def list_class(kind: type) -> str:
    """Have exceptions of ``kind`` raised as such; return the name by which workers tell them.

    Raises:
        TypeError: No error can be an instance of that class and of ``RemoteError``.
    """
    module = "__main__" if kind.__module__ == "__mp_main__" else kind.__module__
    name = f"{module}:{kind.__qualname__}"
    if not issubclass(kind, Exception):
        raise TypeError("it is no subclass of Exception")
    if issubclass(kind, (StopIteration, StopAsyncIteration, BaseExceptionGroup, SnakepitError)):
        raise TypeError("it means something to Python, or to this package")
    from snakepit._remote_classes import nearest

    mixed = _mixed(nearest(kind), kind)
    _blank(mixed, "")  # what cannot be made fails here, and not when it is needed
    _listed[name] = mixed
    return name


def _kind(type_name: str) -> type[RemoteError]:
    from snakepit._remote_classes import nearest

    builtin = getattr(builtins, type_name, None)
    return nearest(builtin) if isinstance(builtin, type) else RemoteError


def _mixed(first: type[RemoteError], second: type) -> type[RemoteError]:
    """The class of what is an instance of both."""
    if second is RemoteError:
        return first
    made = _made.get((first, second))
    if made is None:
        # People see the name of the one that says more.
        telling = first if issubclass(second, RemoteError) else second
        names = {
            "__module__": telling.__module__,
            "__qualname__": telling.__qualname__,
            "__doc__": telling.__doc__,
            "_parts": (first, second),
        }
        fresh = cast("type[RemoteError]", type(telling.__name__, (first, second), names))
        made = _made.setdefault((first, second), fresh)
    return made


def _restored(kind: type[RemoteError], message: str, fields: dict[str, Any]) -> RemoteError:
    error = _blank(kind, message)
    error._fill(fields)
    error._link()
    hook = getattr(kind, "__snakepit_restore__", None)
    if hook is not None and error.remote_args is not None:
        try:
            hook(error, *error.remote_args)
        except Exception as failed:  # what the tool raised matters more
            error.add_note(f"__snakepit_restore__ raised {type(failed).__name__}: {failed}")
    return error


def _blank(kind: type[RemoteError], message: str) -> RemoteError:
    """An instance that no ``__init__`` or ``__new__`` of the program has seen."""
    native: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    error = cast("RemoteError", native.__new__(kind, message))
    error.args = (message,)
    return error


def _blank_of(first: type[RemoteError], second: type, message: str) -> RemoteError:
    return _blank(_mixed(first, second), message)
