"""From Python values to msgpack: the walk over containers.

It goes where the fast path of ``_plain`` does not, counts the depth, tells keys from values, and
knows the place of what fails. It looks at copies of the containers' items, since Python code that
runs inside (a ``tzinfo``, a numpy dtype) or in another thread may change them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from msgpack import Packer

from snakepit_bridge import _interop
from snakepit_bridge._interop._part import filled
from snakepit_bridge._registry import ENCODERS, encoder_of

from . import _array, _number, _plain, _refusal, _time
from ._extension import (
    MEMORY,
    NAMED,
    REFERENCE,
    Extension,
    bytes_header,
    dict_header,
    header,
    list_header,
    loaded,
    text_header,
)
from ._failure import Refused, type_name
from ._outside import BYTES, Outside
from ._plain import MAX_DEPTH, SCALARS, SHORT, is_flat

Substitute = Callable[[Any], Any]


def encode(
    value: object,
    root: str = "value",
    substitute: Substitute | None = None,
    outside: Outside | None = None,
) -> bytes:
    """The message that ``value`` travels as.

    Args:
        value: Anything of the table in ``docs/values.md``.
        root: How the path in an error starts, for example ``result``.
        substitute: Makes something that can travel of a value that cannot. Default: that is an
            error.
        outside: Takes what is large, so that it need not be in the message. Default: it is.

    Raises:
        EncodeError: Something in it cannot travel; names the place, the type and the way out.
    """
    packed = _plain.pack(value)
    if packed is None or (outside is not None and len(packed) >= outside.threshold):
        return walk(value, root, substitute, outside)
    return packed


def walk(
    value: object,
    root: str = "value",
    substitute: Substitute | None = None,
    outside: Outside | None = None,
) -> bytes:
    """``encode`` without its fast path."""
    encoder = _Encoder(substitute, outside)
    try:
        encoder.value(value)
    except Exception as error:
        refused = Refused.by(error).of(value)
    else:
        return b"".join(encoder.out)
    raise refused.encode_error(root)


class _Encoder:
    def __init__(self, substitute: Substitute | None, outside: Outside | None) -> None:
        self._substitute = substitute
        self._outside = outside
        # Its own: kept ones keep their largest message.
        self._packer = Packer(strict_types=True, buf_size=1024)
        self._pack = self._packer.pack
        self.out: list[bytes | memoryview] = []
        self._depth = 0

    def value(self, value: Any) -> None:
        kind = type(value)
        if kind in SCALARS:
            self._scalar(kind, value)
        elif kind is dict:
            self._dict(value)
        elif kind is list:
            self._list(value)
        elif kind is tuple:
            self._tuple(value)
        else:
            self._other(kind, value)

    def _scalar(self, kind: type[Any], value: Any) -> None:
        if kind is str and len(value) > SHORT:
            self._text(value)
        elif kind is bytes:
            self._bytes(value)
        else:
            try:
                self.out.append(self._pack(value))
            except OverflowError:
                self._extension(_number.encode_wide(value))
            except UnicodeEncodeError:
                self._text(value)

    def _dict(self, value: dict[Any, Any]) -> None:
        self._enter(value)
        try:
            pairs = [*dict.items(value)]
        except RuntimeError:  # making the pairs may start a collection, and that another thread
            raise _changed("dict").of(value) from None
        if self._is_flat([*chain.from_iterable(pairs)]):
            try:
                self.out.append(self._packer.pack_map_pairs(pairs))
            except (OverflowError, UnicodeEncodeError):
                self._packer.reset()  # or it would keep the part that it has packed
            else:
                self._depth -= 1
                return
        self.out.append(dict_header(len(pairs)))
        for key, item in pairs:
            self._key(key)
            try:
                self.value(item)
            except Exception as error:
                raise Refused.by(error).of(item).at_key(key) from None
        if dict.__len__(value) != len(pairs):
            raise _changed("dict").of(value)
        self._depth -= 1

    def _is_flat(self, items: list[Any]) -> bool:
        if self._outside is not None and any(
            type(item) is bytes and len(item) >= self._outside.threshold for item in items
        ):
            return False
        return is_flat(items)

    def _key(self, key: Any) -> None:
        kind = type(key)
        if issubclass(kind, str):
            try:
                self._text(key)
            except Refused as refused:
                raise refused.at_key(key) from None
        elif issubclass(kind, bytes):
            self._key_bytes(bytes.__getitem__(key, slice(None)))
        elif kind in SCALARS:
            self._scalar(kind, key)
        elif not self._plain(kind, key):
            what = (
                "a dict key must be None, bool, int, float, str or bytes, "
                f"not {type_name(key)}; convert it, for example with str()"
            )
            raise Refused(what).of(key)

    def _list(self, value: list[Any]) -> None:
        items = list.copy(value)
        self._items(value, items)
        if list.__len__(value) != len(items):
            raise _changed("list").of(value)

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self._items(value, [*tuple.__iter__(value)])

    def _items(self, container: object, items: list[Any]) -> None:
        self._enter(container)
        if self._is_flat(items):
            try:
                self.out.append(self._pack(items))
            except (OverflowError, UnicodeEncodeError):
                pass  # the walk finds out where
            else:
                self._depth -= 1
                return
        self.out.append(list_header(len(items)))
        for index, item in enumerate(items):
            try:
                self.value(item)
            except Exception as error:
                raise Refused.by(error).of(item).at_index(index) from None
        self._depth -= 1

    def _other(self, kind: type[Any], value: Any) -> None:
        if ENCODERS and (found := encoder_of(kind)) is not None:
            self._named(value, *found)
            return
        start = len(self.out)
        left = len(self._outside.bulks) if self._outside is not None else 0
        try:
            self._known(kind, value)
        except Refused as refused:
            if self._substitute is None or not refused.is_refusal:
                raise
        else:
            return
        del self.out[start:]
        if self._outside is not None:
            del self._outside.bulks[left:]
        # A substitute may need one itself, without end.
        self._enter(value)
        self.value(self._substitute(value))
        self._depth -= 1

    def _named(self, value: Any, name: str, encode: Callable[[Any], Any]) -> None:
        """A value of a registered type: under its name, as what its encoder makes of it."""
        self._enter(value)
        plain = encode(value)
        outer, self.out = self.out, []
        try:
            self.value(plain)
        except Exception as error:
            raise Refused.by(error).of(plain) from None
        finally:
            inner, self.out = self.out, outer
        message = b"".join(inner)
        label = name.encode()
        self._extension((NAMED, bytes((len(label),)) + label, message))
        self._depth -= 1

    def _known(self, kind: type[Any], value: Any) -> None:
        # Before the subclasses: numpy's float64 is a float, its str_ a str.
        extension = (
            _time.encode(kind, value) or _number.encode(kind, value) or _array.encode(kind, value)
        )
        if extension is not None:
            self._extension(extension)
        elif issubclass(kind, str):
            self._text(value)
        elif self._plain(kind, value):
            return
        elif issubclass(kind, dict):
            # An OrderedDict's order is its own, not that of the dict inside it.
            ordered = issubclass(kind, loaded("collections", "OrderedDict"))
            self._dict(dict(value) if ordered else value)
        elif issubclass(kind, list):
            self._list(value)
        elif issubclass(kind, tuple):
            self._tuple(value)
        elif issubclass(kind, (bytearray, memoryview)):
            self._bulk(MEMORY, b"", _flat(memoryview(value)))
        else:
            self._foreign(value)

    def _foreign(self, value: Any) -> None:
        """A value of another library."""
        try:
            part = _interop.encode(value)
        except _interop.UnfitError as unfit:
            refused = Refused.refusal(unfit.what).of(value)
            for key in reversed(unfit.path):
                refused.at_key(key)
            raise refused from None
        if part is None:
            raise _refusal.refuse(value)
        self._bulk(*part)

    def _plain(self, kind: type[Any], value: Any) -> bool:
        """A subclass of the plain numbers and bytes, as these; whatever methods it overrides."""
        if issubclass(kind, int):
            self._scalar(int, int.__int__(value))
        elif issubclass(kind, float):
            self._scalar(float, float.__float__(value))
        elif issubclass(kind, bytes):
            self._bytes(bytes.__getitem__(value, slice(None)))
        else:
            return False
        return True

    def _text(self, value: str) -> None:
        try:
            encoded = str.encode(value)
        except UnicodeEncodeError as error:
            what = "cannot encode str with lone surrogates; send bytes, as os.fsencode() makes them"
            refused = Refused(what, error)
            refused.type_name = "str"
            raise refused from None
        self.out += text_header(len(encoded)), encoded

    def _bytes(self, value: bytes) -> None:
        if self._outside is not None and len(value) >= self._outside.threshold:
            self._bulk(BYTES, b"", memoryview(value))
        else:
            self._key_bytes(value)

    def _key_bytes(self, value: bytes) -> None:
        """In the message itself, whatever their size."""
        self.out += bytes_header(len(value)), value

    def _bulk(self, tag: int, head: bytes, bulk: Any) -> None:
        """A body that may be large, and then travels beside the message."""
        size = bulk.nbytes
        if self._outside is not None and size >= self._outside.threshold:
            reference = self._outside.leave(tag, head, bulk)
            self.out += header(REFERENCE, len(reference)), reference
            return
        self.out += header(tag, len(head) + size), head, filled(bulk)

    def _extension(self, extension: Extension) -> None:
        tag, head, data = extension
        self.out += header(tag, len(head) + len(data)), head, data

    def _enter(self, container: object) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            what = f"nested deeper than {MAX_DEPTH} containers (is there a cycle?); flatten it"
            raise Refused(what).of(container)


def _flat(memory: memoryview) -> memoryview:
    """Its bytes in C order."""
    try:
        return memory.cast("B")
    except TypeError:  # not in a row, or without items
        return memoryview(memory.tobytes())


def _changed(kind: str) -> Refused:
    return Refused(f"{kind} changed while it was encoded; send a copy")
