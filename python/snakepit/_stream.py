"""A stream of chunks, read by a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from snakepit._engine import NativeChunks


class Stream:
    """Chunks of a streaming call, in order; an iterator and a context manager.

    A reader that stops reading stops the worker: some chunks wait at most. Leaving the ``with``
    block, ``close()``, and dropping the stream cancel the call; the generator in the worker is
    closed, so its ``finally`` runs.

    Example:
        >>> with pool.execute_stream("train", {"epochs": 3}) as chunks:
        ...     for chunk in chunks:
        ...         print(chunk["loss"])
    """

    __slots__ = ("_chunks",)

    def __init__(self, chunks: NativeChunks) -> None:
        self._chunks = chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._chunks.__next__()

    def close(self) -> None:
        """End the stream; cancels the call if it still runs. Idempotent."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._chunks.close()


def feed(stream: Stream, on_chunk: Callable[[Any], object]) -> None:
    """Call ``on_chunk`` with every chunk; what it raises ends the stream and passes through."""
    with stream:
        for chunk in stream:
            on_chunk(chunk)
