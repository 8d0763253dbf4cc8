"""Values of other libraries: structured arrays, small floats, Arrow, tensors.

``docs/values.md`` is the promise. Both codecs, the native one and ``snakepit_bridge._values``, come
here for whatever they do not know themselves, so that there is one place for each library.

.. code-block:: text

    encode ─┬─▶ _array    arrays of structures, items of ml_dtypes (_dtype: which may travel)
            ├─▶ _arrow    pyarrow's; pandas, polars and others by their Arrow stream
            └─▶ _tensor   torch's; others by DLPack
    decode ─┴─▶ the same

A value becomes a *part*: an extension's type, the head of its body, and the bulk behind it, which
is memory that stays where it is, or something that writes itself into memory (``_part``). No
library is imported before a value or a message is of it.
"""

from __future__ import annotations

from typing import Any

from . import _array, _arrow, _tensor
from ._born import born, empty
from ._own import writable
from ._part import Part, UnfitError

__all__ = [
    "ARROW",
    "RECORDS",
    "TENSOR",
    "UnfitError",
    "born",
    "decode",
    "empty",
    "encode",
    "is_arrow",
    "writable",
]

RECORDS = _array.RECORDS
ARROW = _arrow.ARROW
TENSOR = _tensor.TENSOR

_DECODERS = {
    RECORDS: _array.decode_records,
    ARROW: _arrow.decode,
    TENSOR: _tensor.decode,
}


def encode(value: Any) -> Part | None:
    """What travels in the value's place, or None: it is of no library that is known here.

    Raises:
        UnfitError: It is, and cannot travel all the same.
    """
    kind = type(value)
    return _array.encode(kind, value) or _arrow.encode(kind, value) or _tensor.encode(kind, value)


def is_arrow(value: Any) -> bool:
    """Whether it is Arrow data, or shows itself as such."""
    return _arrow.shows_arrow(type(value))


def decode(tag: int, body: Any, data: Any = None) -> Any:
    """A value of one of the extensions above.

    Args:
        tag: The extension's type.
        body: Its body, or the head of it where the bulk lies elsewhere. Copied if it is kept.
        data: That bulk: memory that stays as it is as long as anything refers to it. For a tensor
            it may be the value's own, to be written to.

    Raises:
        UnfitError: The body is malformed, or this interpreter lacks the library.
    """
    return _DECODERS[tag](memoryview(body), data)
