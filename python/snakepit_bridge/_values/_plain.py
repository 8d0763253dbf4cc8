"""The fast path: values of the plain types alone, by msgpack's own C code.

It never decides alone. Whatever it is not sure of goes to the walks of ``_encode`` and ``_decode``,
which give the same bytes and values, and the only refusals. They are needed because msgpack

- packs and unpacks far deeper than 128 containers,
- packs a memoryview as a key, and has types of its own (``ExtType``, ``Timestamp``),
- keeps the UTF-8 of every text that it packs for that text's life,
- interns every key that it unpacks, and some interpreters never free an interned string,
- believes a list's length: nested ones can ask for a thousand times the message in memory,
- leaks what it has made when it fails to unpack the rest, before version 1.2.1,
- cannot say where it failed.
"""

from __future__ import annotations

import sys
from typing import Any

from msgpack import ExtType, Packer, Unpacker, unpackb, version

MAX_DEPTH = 128
"""Containers inside each other."""
SCALARS = frozenset({type(None), bool, int, float, str, bytes})
"""What may be a key, too."""
SHORT = 16 * 1024
"""Longest text, in characters, that may keep its UTF-8 for its life."""

NOTHING = object()
"""Instead of a value: the walk has to decide."""

_SMALL = 512
"""Bytes of a message whose lengths may lie: together they ask for less than a megabyte."""
_LONG = 16
"""Items from which on it pays to have C look whether they are all numbers."""
_NO_TEXT = SCALARS - {str}
_CONTAINERS = frozenset({list, tuple, dict})
_TIDY = (1, 2, 1)
"""The first version of msgpack that leaks nothing."""


def _frees_interned_strings() -> bool:
    probe = sys.intern("".join(("snakepit_bridge", " probe")))
    return sys.getrefcount(probe) < 1000  # immortal objects have billions


UNPACKS = version >= _TIDY and _frees_interned_strings()
"""Whether messages may take the fast path at all."""
# With a GIL nobody changes a container while it is packed, since no Python code runs meanwhile:
# what another thread changes between the look and the packing is at least not torn.
_HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


def pack(value: object) -> bytes | None:
    """The message, or None: the walk has to decide."""
    kind = type(value)
    try:
        if _HAS_GIL and kind in _CONTAINERS and _is_plain(value, kind, SHORT, 1):
            # Not `strict_types`, which knows no tuples: the types have been looked at already.
            packed: bytes = Packer(buf_size=1024).pack(value)
            return packed
    except Exception:
        pass  # an int beyond 64 bits, a lone surrogate, a change in another thread
    return None


def unpack(data: bytes) -> Any:
    """The value, or ``NOTHING``: the walk has to decide."""
    if not UNPACKS:
        return NOTHING
    try:
        if len(data) > _SMALL and not _is_honest(data):
            return NOTHING
        value = unpackb(data, strict_map_key=False, ext_hook=_leave_it)
    except Exception:
        return NOTHING
    kind = type(value)
    if kind in SCALARS or (kind in _CONTAINERS and _is_plain(value, kind, sys.maxsize, 1)):
        return value
    return NOTHING


def is_flat(items: list[Any]) -> bool:
    """Whether these are scalars that the C packer may have, in one call."""
    kinds = {*map(type, items)}
    if str in kinds and any(type(item) is str and len(item) > SHORT for item in items):
        return False
    return kinds <= SCALARS


def _is_plain(container: Any, kind: type[Any], longest: int, depth: int) -> bool:
    """Whether there are plain types alone in it, not too deep, and no text of more characters."""
    if depth > MAX_DEPTH:
        return False
    items = container
    if kind is dict:
        for key in container:
            if type(key) not in SCALARS or (type(key) is str and len(key) > longest):
                return False
        items = container.values()
    elif len(container) > _LONG and _NO_TEXT.issuperset(map(type, container)):
        return True
    for item in items:
        kind = type(item)
        if kind is str:
            if len(item) > longest:
                return False
        elif kind in _CONTAINERS:
            if not _is_plain(item, kind, longest, depth + 1):
                return False
        elif kind not in SCALARS:
            return False
    return True


def _is_honest(data: bytes) -> bool:
    """Whether it is one value with all the items that it announces; makes none of them."""
    unpacker = Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    unpacker.skip()
    return bool(unpacker.tell() == len(data))


def _leave_it(tag: int, body: bytes) -> ExtType:
    raise ValueError("an extension: the walk knows whether it may be a key")
