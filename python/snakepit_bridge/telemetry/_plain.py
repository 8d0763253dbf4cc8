"""What of an event can travel to the host: bounded text, 64-bit numbers, flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME = 256
"""Characters of a name, a key or an id."""
MAX_TEXT = 1024
"""Characters of a text in the metadata."""
MAX_ENTRIES = 64
"""Of the measurements, and of the metadata."""

_INT64 = 1 << 63


def name(text: str) -> str:
    """As the host takes it: white space and what does not print become ``_``."""
    if len(text) > MAX_NAME:
        text = text[:MAX_NAME]
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return "".join(char if char.isprintable() and not char.isspace() else "_" for char in text)


def text(value: str, most: int = MAX_TEXT) -> str:
    """Without lone surrogates, cut where it is too long."""
    if len(value) > most:
        value = value[: most - 1] + "…"
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def key(value: str) -> str:
    """As the host takes it; empty: it cannot be one."""
    if value.isascii() and value.isprintable() and len(value) <= MAX_NAME:
        return value
    shown = "".join(char if char.isprintable() else "_" for char in value)
    return text(shown, MAX_NAME)


def numbers(measurements: Mapping[str, float]) -> dict[str, float]:
    """The measurements, in bounds."""
    pairs = [(key(each), _number(value)) for each, value in measurements.items()]
    return {known: value for known, value in pairs[:MAX_ENTRIES] if known and value is not None}


def facts(metadata: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """The metadata, in bounds; what is neither number nor flag is told as its text."""
    pairs = [(key(each), _fact(value)) for each, value in list(metadata.items())[:MAX_ENTRIES]]
    return {known: value for known, value in pairs if known}


def _number(value: float) -> float | None:
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        try:
            return float(value)
        except OverflowError:
            return None
    return int(value) if isinstance(value, int) else float(value)


def _fact(value: Any) -> str | float | bool:
    if isinstance(value, str):
        return text(str(value))
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        number = _number(value)
        return "out of range" if number is None else number
    try:
        return text(str(value))
    except Exception:
        return "<str() of the value raised>"
