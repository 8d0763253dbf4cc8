"""Checks of one value each: what is wrong becomes a ``ConfigError`` that names its field.

Not here: durations (``_duration``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def positive(field: str, value: object, *, least: int = 1, most: int | None = None) -> int:
    """Return ``value`` if it is a whole number from ``least`` to ``most``.

    The messages leave the value out: Python refuses to write numbers of some thousand digits.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{field}: a whole number is needed, not {value!r}", field=field)
    if value < least:
        raise ConfigError(f"{field}: must be at least {least}", field=field, suggestion=str(least))
    if most is not None and value > most:
        raise ConfigError(f"{field}: must be at most {most}", field=field, suggestion=str(most))
    return value


def flag(field: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{field}: True or False is needed, not {value!r}", field=field)


def choice(field: str, value: object, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if isinstance(value, str) and value in choices:
        return value
    import difflib

    close = difflib.get_close_matches(str(value), choices, 1) or choices[:1]
    listed = ", ".join(f'"{c}"' for c in choices)
    raise ConfigError(
        f"{field}: must be one of {listed}, but is {value!r}", field=field, suggestion=close[0]
    )


def pool_name(name: object) -> str:
    """Return ``name`` if a pool can have it."""
    if (
        isinstance(name, str)
        and len(name) <= 64
        and name[:1].isalnum()
        and {*name} <= _NAME_CHARACTERS
    ):
        return name
    raise ConfigError(
        f"name: 1 to 64 of the characters A-Z a-z 0-9 _ . - are needed, not {name!r}",
        field="name",
        suggestion="default",
    )


def refuse_surrogates(field: str, text: str, error: UnicodeEncodeError) -> NoReturn:
    """Raise ``ConfigError`` where ``text`` is what cannot be encoded, else ``error`` again.

    For the handler of a call that failed, so that calls that succeed pay nothing.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{field}: {text!a:.80} holds lone surrogates, which are no text and cannot travel",
            field=field,
        ) from None
    raise error


def refuse_unknown(unknown: Collection[str], known: Iterable[str]) -> None:
    """Raise ``ConfigError`` for a keyword that ``Pool`` does not have, naming the closest."""
    if not unknown:
        return
    import difflib

    field = next(iter(unknown))
    close = difflib.get_close_matches(field, list(known), 1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise ConfigError(
        f'{field}: a pool has no parameter "{field}"{hint}',
        field=field,
        suggestion=close[0] if close else None,
    )
