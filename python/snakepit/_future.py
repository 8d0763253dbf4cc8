"""The future of one call: a ``concurrent.futures.Future`` that costs nothing until it is waited on.

The standard class makes a lock, two lists and a wake-up for every call. Here the outcome stays in
the native reply: ``result()`` waits there, without the interpreter, and decodes in the caller's
thread. Only who needs a notification arms one: ``add_done_callback``, ``futures.wait``,
``as_completed``, ``asyncio.wrap_future``. All of them read ``_condition`` first, so that is the
switch, and everything they read under it (``_state``, ``_waiters``, ``_done_callbacks``) then
belongs to the notification. ``_state`` must not run ahead of it: ``as_completed`` would be told
twice of a future that it took for finished.
"""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import _base
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit._engine import NativeReply

# Guards the making of a notification, which happens once a future and takes no time.
_arming = threading.Lock()


class _Notification:
    """What the standard library needs of a future that somebody waits for."""

    __slots__ = ("callbacks", "condition", "future", "state", "waiters")

    def __init__(self, future: Future) -> None:
        self.condition = threading.Condition()
        self.waiters: list[Any] = []
        self.callbacks: list[Callable[[Any], object]] = []
        self.state = _state_of(future._reply)
        # Keeps the future for its callbacks; the cycle ends with the call.
        self.future: Future | None = None if self.settled else future

    @property
    def settled(self) -> bool:
        return self.state in (_base.FINISHED, _base.CANCELLED_AND_NOTIFIED)

    def settle(self) -> None:
        """Tell the waiters, then the callbacks. Runs on the engine's callback thread."""
        future = self.future
        if future is None:
            return
        with self.condition:
            self.state = _state_of(future._reply)
            failed = self.state == _base.FINISHED and future._reply.exception(0) is not None
            for waiter in self.waiters:
                if self.state == _base.CANCELLED_AND_NOTIFIED:
                    waiter.add_cancelled(future)
                elif failed:
                    waiter.add_exception(future)
                else:
                    waiter.add_result(future)
            self.condition.notify_all()
        self.future = None
        for callback in self.callbacks:
            try:
                callback(future)
            except Exception:
                _base.LOGGER.exception("exception calling callback for %r", future)


def _state_of(reply: NativeReply) -> str:
    if reply.done():
        return _base.CANCELLED_AND_NOTIFIED if reply.cancelled() else _base.FINISHED
    return _base.RUNNING if reply.running() else _base.PENDING


class Future(concurrent.futures.Future[Any]):
    """Outcome of ``Pool.submit``; works wherever a ``concurrent.futures.Future`` does.

    Unlike the standard one, a call that runs already can be cancelled. Dropping the future does
    not cancel the call.
    """

    __slots__ = ("_notification", "_reply")

    # The base's constructor would make all that this class exists to avoid.
    def __init__(self, reply: NativeReply) -> None:
        self._reply = reply
        self._notification: _Notification | None = None

    def cancel(self) -> bool:
        """Give the call up, waiting or running; ``False`` when it has ended already.

        The caller is free at once; what happens to the worker is as for a deadline that passes.
        """
        return self._reply.cancel()

    def cancelled(self) -> bool:
        """Whether the call was given up."""
        return self._reply.cancelled()

    def running(self) -> bool:
        """Whether a worker has the call now."""
        return self._reply.running()

    def done(self) -> bool:
        """Whether the call has ended, in whatever way."""
        return self._reply.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the call and return what the tool returned.

        Args:
            timeout: Seconds to wait; the call itself goes on when they have passed.

        Raises:
            TimeoutError: The call still runs after ``timeout`` (``done()`` is ``False``).
            Cancelled: It was given up.
            SnakepitError: It failed, as described at ``Pool.execute``.
        """
        return self._reply.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the call and return its error, or ``None`` if it returned a value.

        Args:
            timeout: Seconds to wait; the call itself goes on when they have passed.

        Raises:
            TimeoutError: The call still runs after ``timeout``.
            Cancelled: It was given up.
        """
        return self._reply.exception(timeout)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Have ``fn`` called with this future when the call has ended, in whatever way.

        The callbacks of all futures of this process run one after the other on one thread; only
        where the call has ended already, ``fn`` is called at once on the caller's. So they must
        be short: one that blocks, or waits for another future to notify it, as
        ``concurrent.futures.wait`` and ``as_completed`` do, holds up all the others, and may wait
        for ever. Starting calls is fine. What ``fn`` raises is logged and dropped.
        """
        super().add_done_callback(fn)

    def set_result(self, result: object) -> NoReturn:
        """Refused: the outcome comes from the worker."""
        raise concurrent.futures.InvalidStateError("the outcome of a call comes from its worker")

    def set_exception(self, exception: BaseException | None) -> NoReturn:
        """Refused: the outcome comes from the worker."""
        raise concurrent.futures.InvalidStateError("the outcome of a call comes from its worker")

    def set_running_or_notify_cancel(self) -> NoReturn:
        """Refused: the outcome comes from the worker."""
        raise concurrent.futures.InvalidStateError("the outcome of a call comes from its worker")

    # --- what the standard library reads, always after _condition -------------------------------

    def _armed(self) -> _Notification:
        if self._notification is None:
            with _arming:
                if self._notification is None:
                    notification = _Notification(self)
                    # Before it is published: an interrupt in between leaves nobody unnotified.
                    if not notification.settled:
                        self._reply.watch(notification.settle)
                    self._notification = notification
        return self._notification

    # Type checkers are to see the base's attributes, which as_completed() demands of a future.
    if not TYPE_CHECKING:

        @property
        def _condition(self) -> threading.Condition:
            return self._armed().condition

        @property
        def _state(self) -> str:
            return self._armed().state

        @property
        def _waiters(self) -> list[Any]:
            return self._armed().waiters

        @property
        def _done_callbacks(self) -> list[Callable[[Any], object]]:
            return self._armed().callbacks

        @property
        def _result(self) -> Any:
            return None if self._failed() else self._reply.result(0)

        @property
        def _exception(self) -> BaseException | None:
            return self._reply.exception(0) if self._failed() else None

        def _failed(self) -> bool:
            return not self._reply.cancelled() and self._reply.exception(0) is not None
