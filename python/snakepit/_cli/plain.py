"""Results as JSON: what a tool may return and JSON has no word for."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """``value`` made of what JSON has.

    ``NaN`` and the infinities become ``null``; ``bytes`` their base64; dates and times ISO 8601;
    durations seconds; arrays, tensors and numpy's scalars lists and numbers; Arrow tables a list of
    rows; ``Decimal``, ``UUID`` and whatever else their text, and so do keys that are no text.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and type(value).__module__ == "builtins":
        return value if math.isfinite(value) else None
    if type(value) is int:
        return value
    if isinstance(value, dict):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return _other(value)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    told = plain(key)
    return told if isinstance(told, str) else str(told)


def _other(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        import base64

        return base64.b64encode(value).decode()
    for method in ("to_pylist", "tolist"):  # pyarrow; numpy, torch and others
        convert = getattr(value, method, None)
        if callable(convert):
            converted = convert()
            return str(value) if type(converted) is type(value) else plain(converted)
    if callable(total_seconds := getattr(value, "total_seconds", None)):
        return total_seconds()
    if callable(isoformat := getattr(value, "isoformat", None)):
        return isoformat()
    return str(value)
