"""How single values are written: units, words, numbers; one or several.

The same as in the configuration of a Rust program (``PoolOptions``): durations are numbers of
seconds or texts with a unit, sizes numbers of bytes or texts with one, and where there may be none
the word is ``"none"``. Texts of variables are read by what their key is; code may give objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snakepit._settings._origin import At, written

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LONGEST = 1e9  # As for every duration of a pool.
_WITH_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_TRUE, _FALSE = ("true", "1", "yes", "y", "on"), ("false", "0", "no", "n", "off")


class Text(str):
    """What a variable has: a text whose meaning is its key's to say."""

    __slots__ = ()


@dataclass(frozen=True)
class Kind:
    """What a key has."""

    expected: str
    """In words: "a whole number"."""
    take: Callable[[Any, At, Kind], Any]
    """Reads a value of TOML; raises by the place."""
    parse: Callable[[str], Any]
    """Reads a variable's text as TOML would have it."""
    none: bool = False
    """Whether ``"none"`` is a value, too."""

    def read(self, value: object, at: At) -> Any:
        """The value as ``Pool`` takes it."""
        if type(value) is Text:
            value = self.parse(str(value))
        if self.none and (value is None or value == "none"):
            return None
        plain = isinstance(value, str | int | float | list | tuple | Mapping)
        if at.origin.kind == "code" and not plain:
            return value  # An object, which the pool will look at.
        return self.take(value, at, self)

    def wrong(self, value: object, at: At, suggestion: str | None = None) -> Any:
        """Raise: ``value`` is none of this kind."""
        expected = f'{self.expected} or "none"' if self.none else self.expected
        at.wrong(expected, value, suggestion)


def as_toml(text: str) -> Any:
    """A variable's text where a table or an array may be meant: TOML if it looks so."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _number_in(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _truth_in(text: str) -> Any:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else text


def _words_in(text: str) -> Any:
    read = as_toml(text)
    return [word.strip() for word in read.split(",") if word.strip()] if read is text else read


def _text(value: Any, at: At, kind: Kind) -> Any:
    return value if isinstance(value, str) else kind.wrong(value, at)


def _flag(value: Any, at: At, kind: Kind) -> Any:
    return value if isinstance(value, bool) else kind.wrong(value, at)


def _whole(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return kind.wrong(value, at)
    return value


def _number(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return kind.wrong(value, at)
    return value


def _measured(value: Any, units: Mapping[str, float], at: At, kind: Kind) -> float:
    if isinstance(value, str):
        match = _WITH_UNIT.fullmatch(value)
        if match is None:
            kind.wrong(value, at)
        elif match[2] in units:
            number: float = float(match[1]) if "." in match[1] else int(match[1])
            return number * units[match[2]]
        elif match[2]:
            at.refuse(
                f"there is no unit {match[2]}; there are {', '.join(units)}",
                expected=kind.expected,
                got=written(value),
                suggestion=f"{match[1]}{_closest_unit(match[2], units)}",
            )
        else:
            least = next(unit for unit, factor in units.items() if factor == 1)
            at.refuse(
                f"{written(value)} needs a unit: {', '.join(units)}",
                expected=kind.expected,
                got=written(value),
                suggestion=f"{match[1]}{least}",
            )
    elif isinstance(value, bool) or not isinstance(value, int | float):
        kind.wrong(value, at)
    return value  # type: ignore[no-any-return]


def _closest_unit(unit: str, units: Mapping[str, float]) -> str:
    long = {"k": "KiB", "m": "MiB", "g": "GiB"} if "KiB" in units else {"min": "min", "mi": "ms"}
    short = unit.lower()
    for beginning in (short[:3], short[:2], short[:1]):
        if beginning in long:
            return long[beginning]
        if beginning in units:
            return beginning
    return next(unit for unit, factor in units.items() if factor == 1)


def _duration(value: Any, at: At, kind: Kind) -> Any:
    seconds = _measured(value, SECONDS, at, kind)
    if not 0 <= seconds <= _LONGEST:
        kind.wrong(value, at, '"none"' if kind.none and seconds > _LONGEST else None)
    return seconds


def _size(value: Any, at: At, kind: Kind) -> Any:
    size = _measured(value, BYTES, at, kind)
    if not (math.isfinite(size) and size >= 0 and size == int(size)):
        kind.wrong(value, at)
    return int(size)


def _measure_in(text: str) -> Any:
    # A variable has no numbers: without a unit, the one that a number has in a file.
    return _number_in(text)


def _words(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, str):
        return [value]
    listed = isinstance(value, list | tuple)
    if at.origin.kind == "code" and listed:
        return value  # Of objects, maybe.
    if not listed or not all(isinstance(each, str) for each in value):
        kind.wrong(value, at)
    return value


def _free(value: Any, at: At, kind: Kind) -> Any:
    return dict(value) if isinstance(value, Mapping) else kind.wrong(value, at)


TEXT = Kind("a text", _text, str)
FLAG = Kind("true or false", _flag, _truth_in)
WHOLE = Kind("a whole number", _whole, _number_in)
NUMBER = Kind("a number", _number, _number_in)
SPAN = Kind('a number of seconds or a text such as "30s"', _duration, _measure_in)
SPAN_OR_NONE = Kind('a number of seconds, a text such as "30s"', _duration, _measure_in, none=True)
SIZE = Kind('a number of bytes or a text such as "256MiB"', _size, _measure_in)
WORDS = Kind("a text or an array of texts", _words, _words_in)
FREE = Kind("a table", _free, as_toml)


def choice(*words: str) -> Kind:
    """One of some words."""

    def take(value: Any, at: At, kind: Kind) -> Any:
        if isinstance(value, str) and value in words:
            return value
        import difflib

        close = difflib.get_close_matches(str(value), words, 1)
        return kind.wrong(value, at, close[0] if close else None)

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), take, str)


def either(expected: str, fits: Callable[[Any], bool], parse: Callable[[str], Any]) -> Kind:
    """Whatever fits."""
    return Kind(expected, lambda v, at, kind: v if fits(v) else kind.wrong(v, at), parse)
