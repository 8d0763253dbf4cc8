"""Arrays that are born where both ends see them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ._part import library


def born(room: Callable[[int], Any], shape: Any, dtype: Any) -> Any:
    """A new numpy array with arbitrary items over ``room(nbytes)``; an ordinary one without that.

    Args:
        room: A writable buffer of so many bytes, or None.
        shape: Lengths, or one length.
        dtype: Type of the items; not objects.
    """
    numpy = library("numpy")
    kind = numpy.dtype(dtype)
    if kind.hasobject:
        raise TypeError(f"items of {kind} are addresses of this process; use another dtype")
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    size = kind.itemsize
    for length in lengths:
        if length < 0:
            raise ValueError(f"shape: {lengths} has a negative length")
        size *= int(length)
    memory = room(size) if size else None
    if memory is None:
        return numpy.empty(lengths, kind)
    return numpy.ndarray(lengths, kind, memory)


def empty(shape: int | tuple[int, ...], dtype: Any = float) -> Any:
    """Return a new numpy array that lies where the host sees it.

    For what a tool returns or yields: the host gets it, or any part of it that is contiguous,
    without a copy. Its items are arbitrary, as those of ``numpy.empty``. The host sees what is
    written to it later, too. Where the pool has no shared memory, and outside of a worker, it is an
    ordinary array.

    Args:
        shape: Its lengths.
        dtype: Type of its items; not objects.

    Raises:
        MemoryError: There is no room; see the pool's ``shared_memory``.

    Example:
        >>> @tool
        ... def render(self, width: int, height: int):
        ...     image = snakepit_bridge.empty((height, width, 3), "uint8")
        ...     self.scene.draw_into(image)
        ...     return image
    """
    native = sys.modules.get("snakepit._core")
    return born(native.worker_room if native is not None else lambda _: None, shape, dtype)
