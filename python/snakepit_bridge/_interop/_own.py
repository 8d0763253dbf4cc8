"""Memory that was sent to this process, to be written to."""

from __future__ import annotations

from typing import Any, TypeVar

from ._part import library

_Array = TypeVar("_Array")

_LEAST = 32 << 20
"""Fewer bytes are copied at once, to memory that the process has: quicker than faults of pages."""


def own(data: Any) -> Any:
    """The same bytes, to be written to, without anybody else's seeing it.

    What lies in shared memory is copied page by page where it is written to; anything else at once.
    """
    if not memoryview(data).readonly:
        return data
    if (found := _private(data)) is not None:
        return found
    # numpy copies without the interpreter.
    return library("numpy").frombuffer(data, "u1").copy()


def writable(array: _Array) -> _Array:
    """Return a numpy array with the same items that may be written to, and is nobody else's.

    An array that was sent cannot be written to, since others see the memory that it lies in. This
    gives one that can: what is large is not copied at once, but page by page where it is written
    to, so that to change a part costs that part. Where all of it is to be changed ``array.copy()``
    is quicker.

    Args:
        array: Any array. One that can be written to is returned as it is.

    Raises:
        TypeError: It is no numpy array.

    Example:
        >>> @tool
        ... def without_gaps(self, samples):
        ...     samples = snakepit_bridge.writable(samples)
        ...     samples[samples < 0] = 0
        ...     return samples.sum()
    """
    numpy: Any = library("numpy")
    if not isinstance(array, numpy.ndarray):
        raise TypeError(f"a numpy array is wanted, not {type(array).__qualname__}")
    source: Any = array
    if source.flags.writeable:
        return array
    view = source
    while isinstance(view, numpy.ndarray):
        view = view.base
    memory = _private(view)
    if memory is None:
        copied: _Array = source.copy("K")
        return copied
    offset = _address(source) - _address(numpy.frombuffer(view, "u1"))
    made: _Array = numpy.ndarray(source.shape, source.dtype, memory, offset, source.strides)
    return made


def _private(view: Any) -> Any:
    """The memory of a view, mapped to be written to; None: a copy is better, or needed."""
    private = getattr(view, "private", None)
    return None if private is None or len(view) < _LEAST else private()


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
