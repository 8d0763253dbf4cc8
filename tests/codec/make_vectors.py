"""Makes ``vectors.json``: what the codec's bytes must be, told by a second implementation.

``pack`` is written from ``docs/values.md`` on top of the ``msgpack`` package and shares nothing
with the native codec. Run this after a change of the format, never to make a test pass::

    python tests/codec/make_vectors.py
"""

from __future__ import annotations

import collections
import datetime
import decimal
import hashlib
import http
import json
import math
import struct
import uuid
import zoneinfo
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from snakepit_bridge import register_decoder, register_encoder

VECTORS = Path(__file__).with_name("vectors.json")
LONGEST = 512
"""Messages up to this many bytes stand in the file themselves."""


class Version:
    """A type of the program's own, which travels under a name."""

    def __init__(self, *parts: Any) -> None:
        self.parts = [*parts]

    def __repr__(self) -> str:
        return f"Version{(*self.parts,)}"


register_encoder(Version, lambda version: version.parts, name="corpus.Version")
register_decoder("corpus.Version", lambda parts: Version(*parts))

NAMES: dict[str, Any] = {
    "Version": Version,
    "collections": collections,
    "datetime": datetime,
    "decimal": decimal,
    "http": http,
    "math": math,
    "np": np,
    "offset": lambda **parts: datetime.timezone(datetime.timedelta(**parts)),
    "uuid": uuid,
    "zoneinfo": zoneinfo,
}

EDGES = [0, 5, 7, 8, 15, 16, 31, 32, 62, 63, 64, 127, 128, 500]
INTS = sorted(
    {sign * (2**bits + step) for sign in (1, -1) for bits in EDGES for step in (-1, 0, 1)}
)

# Expression of the value, and of what it arrives as where that differs.
EXPRESSIONS: list[tuple[str, str | None]] = [
    *((f"{value}", None) for value in INTS),
    *((text, None) for text in ("None", "True", "False", "1.5", "-0.0", "1e300", "5e-324")),
    *((text, None) for text in ("math.inf", "-math.inf", "math.nan", "0.1")),
    *((text, None) for text in ("''", "'a'", "'é'", "'日本'", "'😀'", "'a\\x00b'")),
    *((f"'a' * {n}", None) for n in (31, 32, 255, 256, 65535, 65536)),
    *((f"'é' * {n}", None) for n in (15, 16, 127, 128, 16384, 16385, 32768)),
    *((f"b'a' * {n}", None) for n in (0, 1, 255, 256, 65535, 65536)),
    *((f"[None] * {n}", None) for n in (0, 1, 15, 16, 65535, 65536)),
    *((f"{{i: None for i in range({n})}}", None) for n in (0, 1, 15, 16, 65535, 65536)),
    ("{'a': {'b': [1, {'c': None}]}, 'd': [[], {}]}", None),
    ("{None: 1, True: 2, 3: 3, 2.5: 4, b'k': 5, 2**80: 6, 'k' * 40: 7, '': 8}", None),
    ("(1, (2, 3))", "[1, [2, 3]]"),
    ("bytearray(b'ab')", "memoryview(b'ab')"),
    ("memoryview(b'abcd')[1:3]", "memoryview(b'bc')"),
    ("memoryview(b'abcd')[::2]", "memoryview(b'ac')"),
    ("bytearray()", "memoryview(b'')"),
    ("http.HTTPStatus.OK", "200"),
    ("http.HTTPMethod.GET", "'GET'"),
    ("collections.namedtuple('P', 'x y')(1, 2)", "[1, 2]"),
    ("collections.OrderedDict(b=1, a=2)", "{'b': 1, 'a': 2}"),
    ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
    ("datetime.date(2024, 2, 29)", None),
    ("datetime.date.min", None),
    ("datetime.datetime(2024, 1, 2, 3, 4, 5, 678)", None),
    ("datetime.datetime(2024, 1, 2, 3, 4, 5, fold=1)", None),
    ("datetime.datetime.max", None),
    ("datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)", None),
    ("datetime.datetime(2024, 1, 2, tzinfo=offset(hours=-3, minutes=-30, seconds=-1))", None),
    (
        "datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris'))",
        None,
    ),
    ("datetime.time(1, 2, 3, 4)", None),
    ("datetime.time(1, fold=1, tzinfo=datetime.timezone.utc)", None),
    ("datetime.time(1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris'))", None),
    ("datetime.timedelta(days=-1, seconds=2, microseconds=3)", None),
    ("datetime.timedelta.max", None),
    ("datetime.timedelta.min", None),
    *((f"decimal.Decimal('{text}')", None) for text in ("1.10", "-0", "1E+999", "NaN", "-sNaN1")),
    ("decimal.Decimal('-Infinity')", None),
    ("uuid.UUID('00112233-4455-6677-8899-aabbccddeeff')", None),
    *((f"np.arange(3, dtype='{code}')", None) for code in ("i1", "u2", "<i4", ">i8", "f2", "f4")),
    *((f"np.arange(3, dtype='{code}')", None) for code in ("<f8", ">f8", "c8", "c16")),
    ("np.array([True, False])", None),
    ("np.array(7, dtype='i8')", None),
    ("np.zeros((0, 3), dtype='f4')", None),
    ("np.arange(6, dtype='i4').reshape(2, 3)", None),
    ("np.asfortranarray(np.arange(6, dtype='i4').reshape(2, 3))", None),
    ("np.asfortranarray(np.arange(24, dtype='f8').reshape(2, 3, 4))", None),
    ("np.arange(24, dtype='i2').reshape(2, 3, 4).transpose(1, 0, 2)", None),
    ("np.arange(10, dtype='i4')[::-3]", None),
    ("np.array([b'abcd', b'efgh'], dtype='V4')", None),
    ("np.array([(1, 2.5), (3, 4.5)], dtype='i4,<f8')", None),
    ("np.zeros(3, dtype=np.dtype('u1,<i8', align=True))[::2]", None),
    ("np.zeros((2, 2), dtype=[('a', '>i2', (2, 3)), ('é', [('t', 'M8[s]')])])", None),
    ("np.array(['ab', 'é'])", None),
    ("np.array([b'ab', b'c'])", None),
    ("np.array(['2024-01-01', 'NaT'], dtype='M8[D]')", None),
    ("np.array('2024-01-01', dtype='M8[s]')", None),
    ("np.array([1, 2, 3, 4], dtype='m8[25s]')[::2]", None),
    ("np.float64(1.5)", None),
    ("np.float32('nan')", None),
    ("np.int8(-3)", None),
    ("np.uint64(2**63)", None),
    ("np.bool_(True)", None),
    ("np.complex128(1 + 2j)", None),
    ("np.str_('q\\x00')", None),
    ("np.str_('')", None),
    ("np.bytes_(b'q\\x00')", None),
    ("np.bytes_(b'')", None),
    ("np.datetime64('2024-01-01T00:00', 's')", None),
    ("np.timedelta64(5, 'm')", None),
    ("[np.float64(1.5), 1.5, {'a': np.int64(1)}]", None),
    ("Version()", None),
    ("Version(1, 'rc', Version(2**70))", None),
    ("{'v': [Version(b'a' * 200)]}", None),
    ("Version('a' * 70000)", None),
]


def evaluate(expression: str) -> Any:
    """The value of one of the expressions above."""
    return eval(expression, dict(NAMES))


def pack(value: Any) -> bytes:
    """Encode as ``docs/values.md`` says."""
    if isinstance(value, bytearray | memoryview):  # msgpack takes them for bytes, unasked
        value = msgpack.ExtType(12, bytes(value))
    packed: bytes = msgpack.packb(value, default=_extend, strict_types=True)
    return packed


def _extend(value: Any) -> Any:
    if isinstance(value, Version):
        name = b"corpus.Version"
        return msgpack.ExtType(11, bytes([len(name)]) + name + pack(value.parts))
    if isinstance(value, np.ndarray):
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        shape = struct.pack(f">{value.ndim}Q", *value.shape)
        shape = bytes([value.ndim | 0x80 * fortran]) + shape
        # As plain bytes: a copy of structures leaves what is between the fields to chance.
        whole = value if value.dtype.names is None else value.view(f"V{value.itemsize}")
        items = shape + whole.tobytes(order="F" if fortran else "C")
        if value.dtype.names is None:
            return msgpack.ExtType(6, _dtype(value.dtype.str) + items)
        described = json.dumps(_structure(value.dtype), separators=(",", ":")).encode()
        return msgpack.ExtType(13, struct.pack(">I", len(described)) + described + items)
    if isinstance(value, np.generic):
        return msgpack.ExtType(7, _numpy_scalar(value))
    if isinstance(value, datetime.datetime):
        return msgpack.ExtType(2, _clock(value))
    if isinstance(value, datetime.date):
        return msgpack.ExtType(3, value.isoformat().encode())
    if isinstance(value, datetime.time):
        return msgpack.ExtType(9, _clock(value))
    if isinstance(value, datetime.timedelta):
        return msgpack.ExtType(
            10, struct.pack(">iII", value.days, value.seconds, value.microseconds)
        )
    if isinstance(value, decimal.Decimal):
        return msgpack.ExtType(4, str(value).encode())
    if isinstance(value, uuid.UUID):
        return msgpack.ExtType(5, value.bytes)
    if isinstance(value, int) and type(value) is int:
        length = value.bit_length() // 8 + 1
        return msgpack.ExtType(1, value.to_bytes(length, "big", signed=True))
    for plain in (str, int, float, dict):
        if isinstance(value, plain):
            return plain.__str__(value) if plain is str else plain(value)
    if isinstance(value, tuple):
        return [*value]
    raise TypeError(f"no vector for {type(value)}")


def _clock(value: datetime.datetime | datetime.time) -> bytes:
    zone = value.tzinfo
    key = f"[{zone.key}]" if isinstance(zone, zoneinfo.ZoneInfo) else ""
    return bytes([value.fold]) + f"{value.isoformat()}{key}".encode()


def _dtype(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()


def _structure(dtype: np.dtype[Any]) -> Any:
    if dtype.fields is None:
        return dtype.str
    fields = [
        [name, offset, _structure(kind.base), list(kind.shape)]
        for name, (kind, offset, *_) in dtype.fields.items()
    ]
    return {"size": dtype.itemsize, "fields": fields}


def _numpy_scalar(value: np.generic) -> bytes:
    if isinstance(value, str):
        body = value.encode("utf-32-le")
        return _dtype(f"<U{len(value)}") + body
    if isinstance(value, bytes):
        return _dtype(f"|S{len(value)}") + bytes(value)
    return _dtype(value.dtype.str) + value.tobytes()


def told(packed: bytes) -> dict[str, str]:
    """How ``vectors.json`` tells the bytes of a message."""
    if len(packed) <= LONGEST:
        return {"hex": packed.hex()}
    return {"sha256": hashlib.sha256(packed).hexdigest()}


def build() -> list[dict[str, str]]:
    """The content of ``vectors.json``: long messages are told by their hash."""
    vectors = []
    for expression, arrives in EXPRESSIONS:
        vector = {"value": expression, **told(pack(evaluate(expression)))}
        if arrives is not None:
            vector["arrives"] = arrives
        vectors.append(vector)
    return vectors


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in build())
    VECTORS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
