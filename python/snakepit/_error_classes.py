"""A pool's ``errors``: classes of exceptions that its tools raise and its callers catch as such."""

from __future__ import annotations

from collections.abc import Iterable
from pkgutil import resolve_name
from typing import NoReturn

from snakepit._remote_error import list_class
from snakepit.errors import ConfigError


def read(errors: object) -> list[str]:
    """Import the classes; return the names by which workers tell them.

    Raises:
        ConfigError: There is no such class, or it is no exception that can be raised for a tool.
    """
    if isinstance(errors, str | type) or not isinstance(errors, Iterable):
        _refuse(f"a list of classes is needed, not {errors!r}")
    return [_one(entry) for entry in errors]


def _one(entry: object) -> str:
    kind = entry
    if isinstance(entry, str):
        if ":" not in entry:
            _refuse(f'{entry!r} has not the form "module:Class"')
        try:
            kind = resolve_name(entry)
        except Exception as error:
            _refuse(f"{entry!r} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(kind, type):
        _refuse(f"{entry!r} is no class")
    if "<locals>" in kind.__qualname__:
        _refuse(f"{kind.__qualname__} is inside of a function, where no worker can find it")
    try:
        return list_class(kind)
    except Exception as error:
        _refuse(f"{entry!r} cannot be raised for a tool: {error}")


def _refuse(why: str) -> NoReturn:
    raise ConfigError(f"errors: {why}", field="errors") from None
