"""numpy's types of items, as far as they may travel.

An allow-list, applied in both directions before numpy sees a name: an array of objects over foreign
bytes would be an array of foreign pointers.
"""

from __future__ import annotations

import re
from typing import Any

from ._part import UnfitError, library

LARGEST = 2**64 - 1
_TEXT = re.compile(r"([<>|])([biufcmMSUV])([0-9]+)(\[.*\])?", re.DOTALL)
_DEEPEST = 32
"""Structures inside each other."""

NAMED = {
    "bcomplex32": 4,
    "bfloat16": 2,
    "complex32": 4,
    "float4_e2m1fn": 1,
    "float6_e2m3fn": 1,
    "float6_e3m2fn": 1,
    "float8_e3m4": 1,
    "float8_e4m3": 1,
    "float8_e4m3b11fnuz": 1,
    "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "int1": 1,
    "int2": 1,
    "int4": 1,
    "uint1": 1,
    "uint2": 1,
    "uint4": 1,
}
"""Types of the package ``ml_dtypes``, with the bytes of an item: numpy has no name for them."""


def item_size(text: str) -> int | None:
    """Bytes of an item, 0 for an empty text; None: malformed, or it does not travel."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return NAMED.get(text)
    order, kind, digits, unit = match.groups()
    size = int(digits) if len(digits.lstrip("0")) <= 10 else LARGEST
    if size >= 2**32 or (unit is not None and kind not in "mM"):
        return None
    if kind in "SU":
        return size if kind == "S" else 4 * size
    if kind == "V" and order != "|":
        return None
    fits = size == 8 if kind in "mM" else size > 0
    return size if fits else None


def named(encoded: memoryview) -> tuple[str, int]:
    """A name that has arrived, and the bytes of an item."""
    try:
        text = str(encoded, "utf-8")
    except UnicodeDecodeError:
        text = ""
    size = item_size(text)
    if size is None:
        raise UnfitError("no dtype that may travel")
    return text, size


def text_of(dtype: Any) -> str | None:
    """The name that a type without a structure travels under; None: it does not."""
    if dtype.names is not None or dtype.hasobject:
        return None
    if dtype.isbuiltin == 2:  # another package's: `str` may be that of a type of numpy
        name = str(dtype.name)
        return name if name in NAMED and dtype.type.__module__ == "ml_dtypes" else None
    text = str(dtype.str)
    return text if item_size(text) else None


def build(text: str) -> Any:
    """The type of such a name, which may travel."""
    if text in NAMED:
        return library("numpy").dtype(getattr(library("ml_dtypes"), text))
    return library("numpy").dtype(text)


def written(dtype: Any) -> bytes:
    """A structured type as JSON.

    A type is its name, or a dict: bytes of an item, and of each field the name, the offset, the
    type and the lengths, where it is an array itself. Titles and metadata do not travel.
    """
    import json

    return json.dumps(_described(dtype, ()), separators=(",", ":")).encode()


def read(text: bytes) -> Any:
    """The type that was written."""
    import json

    try:
        described = json.loads(text)
        if isinstance(described, dict):
            return _restored(described, 0)
        raise UnfitError("no description of a structured dtype")
    except (RecursionError, ValueError) as error:
        raise UnfitError(f"no structured dtype: {type(error).__name__}") from None


def _described(dtype: Any, path: tuple[str | int, ...]) -> Any:
    if dtype.names is None:
        text = text_of(dtype)
        if text is None:
            what = "objects" if dtype.hasobject else f"dtype {dtype}"
            raise UnfitError(f"cannot encode a field of {what}; send its values as a list", path)
        return text
    fields = []
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        shape = [*kind.shape]
        fields.append([name, offset, _described(kind.base, (*path, name)), shape])
    return {"size": dtype.itemsize, "fields": fields}


def _restored(described: Any, depth: int) -> Any:
    if isinstance(described, str):
        if not item_size(described):
            raise UnfitError("no dtype that may travel")
        return build(described)
    if depth == _DEEPEST:
        raise UnfitError(f"structures inside each other, more than {_DEEPEST}")
    try:
        size, fields = described["size"], described["fields"]
        parts = [
            (name, offset, _restored(kind, depth + 1), shape)
            for name, offset, kind, shape in fields
        ]
    except (KeyError, TypeError, ValueError):
        raise UnfitError("no description of a structured dtype") from None
    if not _is_size(size) or size == 0:
        raise UnfitError("no size of a structured dtype")
    for name, offset, kind, shape in parts:
        if not isinstance(name, str) or not isinstance(shape, list):
            raise UnfitError("no field of a structured dtype")
        reach = kind.itemsize
        for length in shape:
            if not _is_size(length):
                raise UnfitError("no shape of a structured dtype's field")
            reach *= length
        if not _is_size(offset) or offset + reach > size:
            raise UnfitError("a field lies outside of its structure")
    made = library("numpy").dtype(
        {
            "names": [name for name, _, _, _ in parts],
            "formats": [(kind, tuple(shape)) if shape else kind for _, _, kind, shape in parts],
            "offsets": [offset for _, offset, _, _ in parts],
            "itemsize": size,
        }
    )
    if made.itemsize != size or made.hasobject:
        raise UnfitError("no structured dtype that may travel")
    return made


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**31
