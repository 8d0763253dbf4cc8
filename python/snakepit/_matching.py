"""Which exceptions are meant: a class, some classes, or a function that says so.

And which are never meant: a caller who gives up says nothing about what was called.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, cast

from snakepit.errors import ConfigError

if TYPE_CHECKING:
    Errors = type[Exception] | Collection[type[Exception]] | Callable[[Exception], object]
    """A class, some classes, or a predicate over the exception."""


def matcher(field: str, errors: Errors) -> Callable[[Exception], object]:
    """Return a predicate for what ``errors`` means.

    Raises:
        ConfigError: It is no class of exceptions, no collection of them and no function.
    """
    listed: object = (errors,) if isinstance(errors, type) else errors
    if isinstance(listed, Collection):
        kinds = tuple(listed)
        if all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            return lambda error: isinstance(error, kinds)
    elif callable(errors):
        return cast("Callable[[Exception], object]", errors)
    raise ConfigError(
        f"{field}: exception classes or a function of an exception are needed, not {errors!r}",
        field=field,
    )


def is_cancel(error: BaseException) -> bool:
    """Whether it tells of whoever called: cancelled, interrupted, on the way out."""
    # KeyboardInterrupt, SystemExit, GeneratorExit and asyncio's CancelledError are no Exception.
    return not isinstance(error, Exception) or isinstance(error, concurrent.futures.CancelledError)
