"""From msgpack to Python values.

The message comes from another process and may be anything: every length is compared with what is
left, the depth is bounded, and an extension's body is checked before a Python type sees it. What
``_plain`` says of msgpack's own unpacker is why there is a second one here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from snakepit_bridge import _interop
from snakepit_bridge._registry import DECODERS

from . import _array, _extension, _number, _outside, _plain, _time
from ._failure import Refused
from ._plain import MAX_DEPTH

_EXTENSIONS: dict[int, Callable[[memoryview], Any]] = {
    _extension.BIG_INT: _number.decode_wide,
    _extension.DATETIME: _time.decode_datetime,
    _extension.DATE: _time.decode_date,
    _extension.DECIMAL: _number.decode_decimal,
    _extension.UUID: _number.decode_uuid,
    _extension.ARRAY: _array.decode_array,
    _extension.NUMPY_SCALAR: _array.decode_scalar,
    _extension.TIME: _time.decode_time,
    _extension.TIMEDELTA: _time.decode_span,
    _extension.MEMORY: lambda body: memoryview(bytes(body)),
    **{
        tag: partial(_interop.decode, tag)
        for tag in (_interop.RECORDS, _interop.ARROW, _interop.TENSOR)
    },
}


def decode(data: bytes, root: str = "value", arrived: Sequence[Any] = ()) -> Any:
    """The value that a whole message is.

    Args:
        data: What ``encode`` of either end made.
        root: How the path in an error starts, for example ``args``.
        arrived: Memory that came beside the message, by number: what has the buffer protocol. What
            becomes writable is made of ``private()``, where it has that.

    Raises:
        DecodeError: It is not exactly one value of ours.
    """
    value = _plain.unpack(data)
    return walk(data, root, arrived) if value is _plain.NOTHING else value


def walk(data: bytes, root: str = "value", arrived: Sequence[Any] = ()) -> Any:
    """``decode`` without its fast path."""
    decoder = _Decoder(data, arrived)
    try:
        return decoder.message()
    except Refused as error:
        refused = error
    except RecursionError as error:
        refused = Refused("no room left on the stack", error)
    raise refused.decode_error(root)


class _Decoder:
    def __init__(self, data: bytes, arrived: Sequence[Any]) -> None:
        self._data = data
        self._arrived = arrived  # from the first one on that is this message's
        self._end = len(data)
        self._at = 0
        self._depth = 0
        self._keys: dict[bytes, str] = {}  # met in this message: rows have the same ones

    def message(self) -> Any:
        value = self.value()
        left = self._end - self._at
        if left:
            raise Refused(f"{left} bytes are left over behind the value")
        return value

    def value(self) -> Any:
        at = self._at
        if at == self._end:
            raise _truncated()
        marker = self._data[at]
        self._at = at + 1
        if marker < 0x80:
            return marker
        if marker >= 0xE0:
            return marker - 0x100
        if marker >= 0xC0:
            return _READERS[marker - 0xC0](self)
        if marker >= 0xA0:
            return self._text(marker & 0x1F)
        return self._list(marker & 0x0F) if marker >= 0x90 else self._dict(marker & 0x0F)

    def _take(self, size: int) -> bytes:
        at = self._at
        to = at + size
        if to > self._end:
            raise _truncated()
        self._at = to
        return self._data[at:to]

    def _text(self, size: int) -> str:
        encoded = self._take(size)
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise Refused("a str is no UTF-8", error) from None

    def _list(self, size: int) -> list[Any]:
        # An item has a byte at least.
        if size > self._end - self._at:
            raise _truncated()
        self._enter()
        items: list[Any] = []
        append, value = items.append, self.value
        try:
            for _ in range(size):
                append(value())
        except Refused as refused:
            raise refused.at_index(len(items)) from None
        self._depth -= 1
        return items

    def _dict(self, size: int) -> dict[Any, Any]:
        if size > (self._end - self._at) // 2:
            raise _truncated()
        self._enter()
        items: dict[Any, Any] = {}
        key, value = self._key, self.value
        for _ in range(size):
            name = key()
            try:
                items[name] = value()
            except Refused as refused:
                raise refused.at_key(name) from None
        self._depth -= 1
        return items

    def _key(self) -> Any:
        marker = self._data[self._at] if self._at < self._end else 0
        if 0xA0 <= marker <= 0xBF:
            self._at += 1
            encoded = self._take(marker & 0x1F)
            known = self._keys.get(encoded)
            if known is None:
                self._at -= len(encoded)
                known = self._keys[encoded] = self._text(len(encoded))
            return known
        if 0x80 <= marker <= 0x9F or 0xDC <= marker <= 0xDF:
            raise Refused("a dict key must be a scalar")
        if 0xC7 <= marker <= 0xC9 or 0xD4 <= marker <= 0xD8:
            # The one extension that is a key: an int beyond 64 bits.
            at = self._at + {0xC7: 2, 0xC8: 3, 0xC9: 5}.get(marker, 1)
            if at < self._end and self._data[at] != _extension.BIG_INT:
                raise Refused("a dict key must be a scalar")
        return self.value()

    def _extension(self, size: int) -> Any:
        tag = struct.unpack("b", self._take(1))[0]
        at = self._at
        if size > self._end - at:
            raise _truncated()
        self._at = at + size
        if tag == _extension.NAMED:
            return self._named(self._data[at : at + size])
        body = memoryview(self._data)[at : at + size]
        if tag == _extension.SHARED:
            return self._shared(body)
        decode = _EXTENSIONS.get(tag)
        if decode is None and tag != _extension.REFERENCE:
            raise Refused(f"unknown extension type {tag}; is the peer newer?")
        try:
            return decode(body) if decode is not None else _outside.resolve(body, self._arrived)
        except _interop.UnfitError as unfit:
            raise Refused(unfit.what) from None
        except Exception as error:
            raise Refused.by(error).during(f"malformed extension of type {tag}") from None

    def _named(self, body: bytes) -> Any:
        """A value of a type that the program has registered, by its name."""
        size = body[0] if body else 0
        try:
            name = body[1 : 1 + size].decode()
        except UnicodeDecodeError:
            name = ""
        if not name or len(body) - 1 < size:
            raise Refused("a named value starts with its name")
        decode = DECODERS.get(name)
        if decode is None:
            what = f'no decoder for "{name}" here; register one by register_decoder()'
            raise Refused(what)
        plain = self._inside_of(body[1 + size :], self._arrived)
        try:
            return decode(plain)
        except Exception as error:
            raise Refused(f'the decoder for "{name}" failed', error) from None

    def _shared(self, body: memoryview) -> Any:
        """A value that was put once, and has buffers of its own."""
        if len(body) < 4:
            raise _truncated().during(f"malformed extension of type {_extension.SHARED}")
        first = int.from_bytes(body[:4], "big")
        return self._inside_of(bytes(body[4:]), self._arrived[first:])

    def _inside_of(self, message: bytes, arrived: Sequence[Any]) -> Any:
        self._enter()
        inner = _Decoder(message, arrived)
        inner._depth = self._depth
        value = inner.message()
        self._depth -= 1
        return value

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(f"nested deeper than {MAX_DEPTH} containers")


def _truncated() -> Refused:
    return Refused("the bytes end inside a value")


Reader = Callable[[_Decoder], Any]


def _number_of(form: str) -> Reader:
    layout = struct.Struct(f">{form}")
    size, unpack_from = layout.size, layout.unpack_from

    def read(decoder: _Decoder) -> Any:
        at = decoder._at
        if at + size > decoder._end:
            raise _truncated()
        decoder._at = at + size
        return unpack_from(decoder._data, at)[0]

    return read


def _sized(read: Callable[[_Decoder, int], Any], size: Reader) -> Reader:
    return lambda decoder: read(decoder, size(decoder))


def _constant(value: object) -> Reader:
    return lambda _: value


def _reserved(_: _Decoder) -> Any:
    raise Refused("0xc1 starts no value")


def _fixed(size: int) -> Reader:
    return lambda decoder: decoder._extension(size)


_LENGTHS = [_number_of(form) for form in "BHI"]
_READERS: list[Reader] = [
    _constant(None),
    _reserved,
    _constant(False),
    _constant(True),
    *(_sized(_Decoder._take, length) for length in _LENGTHS),
    *(_sized(_Decoder._extension, length) for length in _LENGTHS),
    *(_number_of(form) for form in "fdBHIQbhiq"),
    *(_fixed(1 << power) for power in range(5)),
    *(_sized(_Decoder._text, length) for length in _LENGTHS),
    *(_sized(_Decoder._list, length) for length in _LENGTHS[1:]),
    *(_sized(_Decoder._dict, length) for length in _LENGTHS[1:]),
]
"""By marker from 0xC0 to 0xDF."""
