"""Calls a user's function, and notices one that was handed to the wrong twin.

A coroutine that nobody awaits would pass for a result, a plain value for something to await.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TypeVar

T = TypeVar("T")


class WrongTwinError(TypeError):
    """The caller's mistake, which tells nothing about the function."""


def plain(result: T, twin: str) -> T:
    """Return ``result`` unless it is a coroutine.

    Raises:
        WrongTwinError: It is; the message names the ``twin`` that awaits.
    """
    if isinstance(result, CoroutineType):
        result.close()  # else Python warns that nobody awaited it
        raise WrongTwinError(f"the function returned a coroutine: use {twin}")
    return result


def awaitable(fn: Callable[[], Awaitable[T]], twin: str) -> Awaitable[T]:
    """Call ``fn`` and return what is to be awaited.

    Raises:
        WrongTwinError: It returned a plain value; the message names the ``twin`` for those.
    """
    result = fn()
    if not hasattr(result, "__await__"):
        raise WrongTwinError(f"the function returned a {type(result).__name__}: use {twin}")
    return result
