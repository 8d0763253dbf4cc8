"""What pools do with memory that their workers see: values that are kept in it, or born there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakepit._engine import Engine


class HasMemory:
    """Arrays in the memory of a pool."""

    _engine: Engine

    def empty(self, shape: int | tuple[int, ...], dtype: Any = float) -> Any:
        """Return a new numpy array that lies where the pool's workers see it.

        To send it, or any part of it that is contiguous, copies nothing. Its items are arbitrary,
        as those of ``numpy.empty``. Until the call's reply is there the workers see what is written
        to it, and later too where they keep it: whoever writes again waits, or takes another one.
        It stays as long as anybody refers to it, in whichever process.

        Args:
            shape: Its lengths.
            dtype: Type of its items; not objects.

        Raises:
            MemoryError: There is no room; see ``SharedMemory.max_bytes``.
            ValueError: ``shape`` is none.
            TypeError: ``dtype`` is none, or of objects.

        Example:
            >>> frame = pool.empty((1080, 1920, 3), "uint8")
            >>> camera.read_into(frame)
            >>> pool.execute("detect", {"frame": frame})
        """
        from snakepit_bridge._interop import born

        return born(self._engine.room, shape, dtype)

    def arena_like(self, array: Any) -> Any:
        """Return an array as ``empty()`` does, of another one's shape and dtype; not its items."""
        return self.empty(array.shape, array.dtype)
