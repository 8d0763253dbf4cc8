"""What is raised for built-in exceptions of tools: each a ``RemoteError`` and that class."""

from __future__ import annotations

from snakepit._remote_error import RemoteError

# Written out, not generated: importable, known to type checkers, pickled by name. Left out is what
# means something to the interpreter (StopIteration, SystemExit) or has a constructor of its own.


class RemoteArithmeticError(RemoteError, ArithmeticError):
    """A tool raised an ``ArithmeticError``."""


class RemoteAssertionError(RemoteError, AssertionError):
    """A tool raised an ``AssertionError``."""


class RemoteAttributeError(RemoteError, AttributeError):
    """A tool raised an ``AttributeError``."""


class RemoteBufferError(RemoteError, BufferError):
    """A tool raised a ``BufferError``."""


class RemoteConnectionError(RemoteError, ConnectionError):
    """A tool raised a ``ConnectionError``."""


class RemoteEOFError(RemoteError, EOFError):
    """A tool raised an ``EOFError``."""


class RemoteFileExistsError(RemoteError, FileExistsError):
    """A tool raised a ``FileExistsError``."""


class RemoteFileNotFoundError(RemoteError, FileNotFoundError):
    """A tool raised a ``FileNotFoundError``."""


class RemoteImportError(RemoteError, ImportError):
    """A tool raised an ``ImportError``."""


class RemoteIndexError(RemoteError, IndexError):
    """A tool raised an ``IndexError``."""


class RemoteKeyError(RemoteError, KeyError):
    """A tool raised a ``KeyError``."""


class RemoteLookupError(RemoteError, LookupError):
    """A tool raised a ``LookupError``."""


class RemoteMemoryError(RemoteError, MemoryError):
    """A tool raised a ``MemoryError``."""


class RemoteModuleNotFoundError(RemoteError, ModuleNotFoundError):
    """A tool raised a ``ModuleNotFoundError``."""


class RemoteNameError(RemoteError, NameError):
    """A tool raised a ``NameError``."""


class RemoteNotImplementedError(RemoteError, NotImplementedError):
    """A tool raised a ``NotImplementedError``."""


class RemoteOSError(RemoteError, OSError):
    """A tool raised an ``OSError``."""


class RemoteOverflowError(RemoteError, OverflowError):
    """A tool raised an ``OverflowError``."""


class RemotePermissionError(RemoteError, PermissionError):
    """A tool raised a ``PermissionError``."""


class RemoteRecursionError(RemoteError, RecursionError):
    """A tool raised a ``RecursionError``."""


class RemoteRuntimeError(RemoteError, RuntimeError):
    """A tool raised a ``RuntimeError``."""


class RemoteTimeoutError(RemoteError, TimeoutError):
    """A tool raised a ``TimeoutError``."""


class RemoteTypeError(RemoteError, TypeError):
    """A tool raised a ``TypeError``."""


class RemoteUnicodeError(RemoteError, UnicodeError):
    """A tool raised a ``UnicodeError``."""


class RemoteValueError(RemoteError, ValueError):
    """A tool raised a ``ValueError``."""


class RemoteZeroDivisionError(RemoteError, ZeroDivisionError):
    """A tool raised a ``ZeroDivisionError``."""


BY_BUILTIN: dict[type, type[RemoteError]] = {
    kind.__bases__[1]: kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, RemoteError) and kind is not RemoteError
}


def nearest(kind: type) -> type[RemoteError]:
    """The class of the list above that stands for the nearest ancestor of ``kind``."""
    return next((BY_BUILTIN[base] for base in kind.__mro__ if base in BY_BUILTIN), RemoteError)
