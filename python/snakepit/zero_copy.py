"""Arrays, tensors and tables in a pool's memory, by the names of the original.

DLPack and the Arrow C data interface are contracts inside one process: a capsule means nothing in
another one. What crosses here is memory that both processes have mapped, see ``docs/data.md``. The
names say what a value is taken for, and as what it comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit import _core

if TYPE_CHECKING:
    from snakepit._async import AsyncPool
    from snakepit._pool import Pool

__all__ = ["close", "from_arrow", "from_dlpack", "to_arrow", "to_dlpack"]


def to_dlpack(value: Any, pool: Pool | AsyncPool) -> _core.SharedRef:
    """Put an array or tensor into a pool's memory.

    Args:
        value: A numpy array, or anything with ``__dlpack__``. One on a device is copied to the
            host's memory first.
        pool: Whose workers are to read it.

    Returns:
        A reference that is sent in the value's place, as often as one likes.

    Raises:
        TypeError: It is no tensor.
        EncodeError: It cannot travel, or there is no room.
    """
    if not (hasattr(value, "__dlpack__") or hasattr(value, "__array_interface__")):
        raise TypeError(f"an array or a tensor is needed, not {type(value).__name__}")
    return pool._engine.put(value)


def from_dlpack(value: Any) -> Any:
    """Return the array or tensor behind a reference, without a copy, and not to be written to.

    Args:
        value: What ``to_dlpack`` gave, or any object with ``__dlpack__``, which is read as a numpy
            array.
    """
    if isinstance(value, _core.SharedRef):
        return value.value()
    import numpy

    return numpy.from_dlpack(value)


def to_arrow(value: Any, pool: Pool | AsyncPool) -> _core.SharedRef:
    """Put Arrow data into a pool's memory.

    Args:
        value: A table, batch, array or schema of pyarrow; what shows itself as Arrow data (pandas,
            polars, …); or what ``pyarrow.table`` takes, such as a dict of columns.
        pool: Whose workers are to read it.

    Returns:
        A reference that is sent in the value's place, as often as one likes.

    Raises:
        EncodeError: It cannot travel, or there is no room.
    """
    from snakepit_bridge._interop import is_arrow

    if not is_arrow(value):
        value = _pyarrow().table(value)
    return pool._engine.put(value)


def from_arrow(value: Any) -> Any:
    """Return the Arrow data behind a reference, without a copy.

    Args:
        value: What ``to_arrow`` gave, or anything that ``pyarrow.table`` takes.
    """
    if isinstance(value, _core.SharedRef):
        return value.value()
    return _pyarrow().table(value)


def _pyarrow() -> Any:
    from importlib import import_module

    return import_module("pyarrow")


def close(ref: _core.SharedRef) -> None:
    """Let go of what a reference keeps; the same as ``ref.close()``."""
    ref.close()
