"""Errors of a worker where ``snakepit`` itself is not installed.

The names and constructors are those of ``snakepit.errors``; the native end prefers that module and
falls back to this one.
"""

from __future__ import annotations


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
