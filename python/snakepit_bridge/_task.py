"""A task of an adapter's loop, and a thread that waits for its end. ``_loop`` draws the picture."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._native import Call


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> bool:
    """False: the loop is closed, and nothing of it runs any more."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return False
    return True


class LoopTask:
    """A task of the loop and a thread that waits for it.

    The methods that end in ``_here`` run on the loop's thread. A signal handler may raise between
    any two lines of the others, as ``KeyboardInterrupt`` does.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, create: Callable[[], asyncio.Future[Any]]
    ) -> None:
        self._loop = loop
        self._create = create
        # The task copies the context in which it is created: the one of the caller.
        self._context = copy_context()
        self._call: Call | None = None
        self._future: asyncio.Future[Any] | None = None
        self._failed: BaseException | None = None
        self._ended = threading.Lock()
        self._ended.acquire()
        self.on_end: Callable[[], object] = self._ended.release

    def start(self, call: Call | None, on_cancel: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(self._start_here)
        if call is not None:
            self._call = call
            # After the start is queued: the loop is first in, first out, so a cancel finds a task.
            call.on_cancel(on_cancel)

    def wait(self) -> None:
        self._ended.acquire()
        self.release()

    def cancel(self) -> None:
        """From any thread, also after the end."""
        post(self._loop, self.cancel_here)

    def abandon(self) -> None:
        """Cancel, and wait for the end if it was not waited for."""
        if not self.ended and post(self._loop, self.abandon_here):
            self._ended.acquire()
        self.release()

    def release(self) -> None:
        """No cancel of the call concerns us any more."""
        if self._call is not None:
            self._call.on_cancel(None)
            self._call = None

    @property
    def begun(self) -> bool:
        return self._future is not None or self._failed is not None

    @property
    def ended(self) -> bool:
        return self._failed is not None or (self._future is not None and self._future.done())

    def result(self) -> Any:
        try:
            if self._failed is not None:
                raise self._failed
            # Without a future it was abandoned before it began.
            return None if self._future is None else self._future.result()
        finally:
            # The exception's traceback leads back to this frame: a cycle that would keep the
            # tool's locals alive until the next collection.
            self._failed = self._future = None

    def cancel_here(self) -> None:
        if self._future is not None:
            self._future.cancel()

    def abandon_here(self) -> None:
        if self._future is not None:
            self._future.cancel()
        elif self._failed is None:
            # The start was never queued, or it would have run before us.
            self.on_end()

    def _start_here(self) -> None:
        try:
            self._future = self._context.run(self._create)
        except BaseException as failed:
            self._failed = failed
            self.on_end()
        else:
            self._future.add_done_callback(lambda _: self.on_end())
