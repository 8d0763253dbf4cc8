"""What does not travel, and what to send instead.

Runs only when a value has been refused, so it may look around; it goes by types alone, never by
instances, whose attributes may be anything.
"""

from __future__ import annotations

import datetime
from typing import Any

from ._extension import loaded
from ._failure import Refused, type_name

PLAIN = "send plain values (None, bool, numbers, str, bytes, lists, dicts) instead"


def refuse(value: object) -> Refused:
    return Refused.refusal(f"cannot encode {type_name(value)}; {_remedy(type(value))}").of(value)


def _remedy(kind: type[Any]) -> str:
    if issubclass(kind, (set, frozenset)):
        return "use a list"
    if issubclass(kind, complex):
        return "send its .real and .imag"
    if issubclass(kind, loaded("enum", "Enum")):
        return "send its .value or .name"
    if _library(kind) == "pandas":
        return _pandas(kind)
    return _plain_of(kind) or _by_protocol(kind)


def _plain_of(kind: type[Any]) -> str | None:
    """Of a type whose plain base travels."""
    for base in (datetime.datetime, datetime.date, datetime.time, datetime.timedelta):
        if issubclass(kind, base):
            return f"convert it to a plain datetime.{base.__name__}"
    if issubclass(kind, loaded("decimal", "Decimal")):
        return "convert it to a plain decimal.Decimal"
    if issubclass(kind, loaded("numpy", "ndarray")):
        way = ".filled()" if _has(kind, "filled") else "numpy.asarray()"
        return f"convert it with {way}"
    return None


def _by_protocol(kind: type[Any]) -> str:
    if _has(kind, "__dataclass_fields__"):
        return "use dataclasses.asdict()"
    if _has(kind, "__dlpack__"):
        return "convert it to a numpy.ndarray"
    if _has(kind, "__fspath__"):
        return "use str()"
    if _has(kind, "keys") and _has(kind, "__getitem__"):
        return "use dict()"
    if _has(kind, "read") and _has(kind, "close"):
        return "send its path or what it holds"
    if _has(kind, "__await__"):
        return "await it and send its result"
    if _has(kind, "__iter__"):
        return "use a list"
    return "raise it, or send str() of it" if issubclass(kind, BaseException) else PLAIN


def _pandas(kind: type[Any]) -> str:
    if kind.__name__ in ("NaTType", "NAType"):
        return "use None"
    if _has(kind, "to_pydatetime") and issubclass(kind, datetime.datetime):
        return "convert it with .to_pydatetime()"
    if _has(kind, "to_pytimedelta") and issubclass(kind, datetime.timedelta):
        return "convert it with .to_pytimedelta()"
    if _has(kind, "to_numpy"):
        return "convert it with .to_numpy() or .tolist()"
    return "convert it to plain values"


def _library(kind: type[Any]) -> str:
    try:
        return str.split(kind.__module__, ".")[0]
    except Exception:  # of a metaclass, or it is no str
        return ""


def _has(kind: type[Any], name: str) -> bool:
    try:
        return hasattr(kind, name)
    except Exception:  # of a metaclass
        return False
