"""What the control thread must know of the calls that run: whom a cancel or a grant is for.

The control socket overtakes the line, so a cancel may be here before its call: it is remembered and
meets the call when that begins.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from snakepit_bridge import _values
from snakepit_bridge._sessions import of_this_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .inbox import Inbox, Reply
    from .jobs import Bell
    from .trace import Execution

_EARLY_CANCELS = 64
"""How many cancels may wait for their calls; a forgotten one only means that its call runs on."""


class Notice:
    """Wakes one waiting thread. Keeps one permit, so a ring between a check and the wait counts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            return  # rung already

    def wait(self) -> None:
        self._lock.acquire()


class Call:
    """A call that runs: ``_native.Call`` for the SDK, and what the control thread changes of it."""

    __slots__ = (
        "_callback",
        "_deadline",
        "_inbox",
        "_session_metadata",
        "cancelled",
        "execution",
        "id",
        "over",
        "session_generation",
        "session_id",
        "session_new",
        "taken",
        "tool",
    )

    def __init__(self, start: Any, inbox: Inbox) -> None:
        self._inbox = inbox
        self.over = False
        """It is about to be answered; set under the inbox's lock."""
        self.id: int = start.call_id
        self.tool: str = start.tool
        self.session_id: str | None = start.session_id or None
        self.session_new: bool = start.session_new
        self.session_generation: int = start.session_generation
        self._session_metadata: bytes = start.session_metadata
        self.cancelled = False
        self.taken = (0, 0)
        """What the reader of this stream has taken since the call began: items and bytes."""
        # The frame says how much time is left, not until when: the two clocks need not agree.
        left = start.time_left_us
        self._deadline = monotonic() + left / 1e6 if left else None
        self._callback: list[Callable[[], object]] = []
        self.execution: Execution | None = None
        """Where it is traced."""

    @property
    def trace(self) -> tuple[str, str, bytes] | None:
        """See ``_native.Call``."""
        return None if self.execution is None else self.execution.told

    def remaining(self) -> float | None:
        """Seconds to the deadline, 0.0 when it has passed, None when there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def session_metadata(self) -> dict[str, Any]:
        """What the host's session was given, a new dict each time."""
        encoded = self._session_metadata
        metadata: dict[str, Any] = _values.decode(encoded, "metadata") if encoded else {}
        return metadata

    def session_state(self) -> dict[str, Any]:
        """What this worker keeps for the session."""
        return of_this_worker.state(self.session_generation)

    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        """Have ``callback`` called once, on another thread, when the host cancels this call.

        Called at once if that has happened. None takes it back.
        """
        self._callback = [] if callback is None else [callback]
        # Set first, then look: the canceller flags first, then takes. One of the two sees both.
        if self.cancelled:
            self.call_back()

    def call_back(self) -> None:
        """Run the callback, unless another thread has."""
        try:
            # One step of the list, so that who gets it is the only one.
            callback = self._callback.pop()
        except IndexError:
            return
        callback()

    def finish(self) -> None:
        """Nothing is asked of the host from now on."""
        self._inbox.finish(self)

    def ask_host(
        self, name: str, arguments: dict[str, Any], streaming: bool, span: bytes | None = None
    ) -> Reply:
        """Ask the host to run one of its tools, for this call and while it runs; any thread."""
        if span is None:
            span = b"" if self.execution is None else self.execution.told[2]
        return self._inbox.ask(self, name, arguments, streaming, span)

    def __repr__(self) -> str:
        return f"<Call {self.id} of {self.tool!r}>"


class Running:
    """The calls that run now."""

    def __init__(self) -> None:
        self.changed = Notice()
        """Rung at every cancel and grant, and at the line's end, for a stream that waits."""
        self.bell: Bell | None = None
        """Rung then too, where several streams may wait at once."""
        self._lock = Lock()
        self._calls: dict[int, Call] = {}
        self._early: deque[int] = deque(maxlen=_EARLY_CANCELS)
        self._ended = False

    def begin(self, start: Any, inbox: Inbox) -> Call:
        """A call begins; it is cancelled already if its cancel overtook it, or the host is gone."""
        call = Call(start, inbox)
        with self._lock:
            call.cancelled = self._ended
            if call.id in self._early:
                self._early.remove(call.id)
                call.cancelled = True
            self._calls[call.id] = call
        return call

    def end(self, call: Call) -> None:
        """A call ended, and is answered next."""
        call.finish()
        with self._lock:
            self._calls.pop(call.id, None)

    def cancel(self, call_id: int) -> Call | None:
        """Flag a call; the call if it runs, for its callback to be run without a lock."""
        with self._lock:
            call = self._calls.get(call_id)
            if call is None:
                self._early.append(call_id)
                return None
            call.cancelled = True
        self.ring()
        return call

    def grant(self, call_id: int, items: int, size: int) -> None:
        """The reader of a stream has taken so much since the call began."""
        with self._lock:
            call = self._calls.get(call_id)
        if call is not None:
            # Only the control thread comes here. An older grant may come late.
            call.taken = max(call.taken[0], items), max(call.taken[1], size)
            self.ring()

    def cancel_all(self) -> list[Call]:
        """The host is gone: nobody will ask for a result or grant a credit any more."""
        with self._lock:
            self._ended = True
            calls = [*self._calls.values()]
            for call in calls:
                call.cancelled = True
        self.ring()
        return calls

    def ring(self) -> None:
        """Something has changed that a stream may wait for."""
        self.changed.ring()
        if self.bell is not None:
            self.bell.ring()
