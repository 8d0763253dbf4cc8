"""Where several calls run at once: what the SDK's threads, or its loop, take up, run and answer.

.. code-block:: text

    drive, on its own thread ── StartCall ──▶ Jobs ── get ──▶ Job ── items, result ──▶ outbox

What is said is sent by gRPC's thread for requests, as ever.
"""

from __future__ import annotations

import os
from collections import deque
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any

from snakepit_bridge._dispatch import find
from snakepit_bridge._sessions import of_this_worker

from . import failure, messages
from .messages import Result, StreamEnd
from .serve import keywords_of, wrong_verb
from .stream import Window
from .trace import begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from .running import Call
    from .serve import Server


class Bell:
    """Wakes the threads that wait for a stream to have room, and a loop that watches ``fileno``."""

    def __init__(self) -> None:
        self._changed = Condition(Lock())
        self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._watched = False

    def fileno(self) -> int:
        """For a loop, which hears of everything from now on."""
        self._watched = True
        return self._eventfd

    def ring(self) -> None:
        """Something has changed that a stream may wait for."""
        with self._changed:
            self._changed.notify_all()
        self.tell_loop()

    def tell_loop(self) -> None:
        """Only a loop has to know."""
        if not self._watched:
            return
        try:
            os.eventfd_write(self._eventfd, 1)
        except BlockingIOError:
            return  # Rung for ages, and readable.

    def wait_until(self, done: Callable[[], Any]) -> None:
        with self._changed:
            self._changed.wait_for(done)


class Jobs:
    """The calls that the host sent and nobody has taken up."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bell = server.running.bell = Bell()
        lock = Lock()
        # All below is guarded by it.
        self._arrival = Condition(lock)
        """For threads: a call may begin, or none ever will. Who is woken and finds none waits."""
        self._ending = Condition(lock)
        """For the one thread that ends sessions."""
        self._idle = Condition(lock)
        """For who drives: every call is answered."""
        self._waiting: deque[Any] = deque()
        self._ends: deque[int] = deque()
        """Sessions that are over, the first of which is being ended; calls wait for that."""
        self._closed = False
        self._under_way = 0

    def get(self) -> Job | None:
        """Wait for the next call; None: no more come."""
        with self._arrival:
            self._arrival.wait_for(lambda: self._closed or self._has_call())
            start = self._waiting.popleft() if self._waiting else None
        return None if start is None else Job(self, start)

    def get_nowait(self) -> Job | None:
        """The next call, if one is there."""
        with self._arrival:
            start = self._waiting.popleft() if self._has_call() else None
        return None if start is None else Job(self, start)

    def _has_call(self) -> bool:
        """There is a call that may begin."""
        return bool(self._waiting) and (not self._ends or self._closed)

    def next_end(self) -> int | None:
        """Wait for the end of a session: its number; None: no more are told of.

        No call is taken up until ``ended``.
        """
        with self._ending:
            self._ending.wait_for(lambda: self._ends or self._closed)
            # Those that are left end with the worker.
            return None if self._closed else self._ends[0]

    def ended(self) -> None:
        """What ``next_end`` gave is done with."""
        self.server.stay_ourselves()
        with self._arrival:
            self._ends.popleft()
            if not self._has_call():
                return
            # All: as many as may have come meanwhile.
            self._arrival.notify_all()
        self.bell.tell_loop()

    def fileno(self) -> int:
        """An eventfd, readable after a call came, and after a stream may have room again."""
        return self.bell.fileno()

    def drive(self) -> bool:
        """Hand out calls until the host drains and all are answered (True), or the line ends."""
        try:
            while (frame := self.server.inbox.next_frame()) is not None:
                said = frame.WhichOneof("frame")
                if said == "start_call":
                    self._arrived(frame.start_call)
                elif said == "end_session":
                    with self._ending:
                        self._ends.append(frame.end_session.session_generation)
                        self._ending.notify()
                elif said == "drain":
                    # What they ask of the host they read themselves.
                    with self._idle:
                        self._idle.wait_for(lambda: not self._under_way)
                    return True
        finally:
            with self._arrival:
                self._closed = True
                self._arrival.notify_all()
                self._ending.notify()
            self.bell.ring()
        return False

    def _arrived(self, start: Any) -> None:
        with self._arrival:
            self._under_way += 1
            self._waiting.append(start)
            if not self._has_call():
                return
            # One: whoever is busy looks for more calls before it waits.
            self._arrival.notify()
        self.bell.tell_loop()

    def answered(self) -> None:
        """A call that was sent has its answer."""
        with self._idle:
            self._under_way -= 1
            if not self._under_way:
                self._idle.notify()


class Job:
    """A call that was taken up. Answered once; what is said after that counts for nothing."""

    def __init__(self, jobs: Jobs, start: Any) -> None:
        self._jobs = jobs
        self._server = jobs.server
        self._start = start
        self.call: Call = self._server.running.begin(start, self._server.inbox)
        self.call.execution = begun(start, self._server.outbox.outlet)
        if self.call.session_generation:
            number = self.call.session_generation
            self.call.session_new = of_this_worker.begin(number, start.session_id)
        self.tool: str = start.tool
        self.streams: bool = start.streaming
        self._window = Window(start, self.call)
        self._kept: bytes | None = None
        self._unfit: Any = None
        self._lock = Lock()
        self._answered = False

    def begin(self) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """The tool and its keywords; None: there is nothing to run, and the call is answered."""
        tool = find(self._server.tools, self.tool, self.streams)
        if self.call.cancelled:
            why = failure.plain(messages.CANCELLED, "", "cancelled before it started")
        elif tool is None:
            why = self._server.not_found(self.tool)
        elif tool[1] != self.streams:
            verb = wrong_verb(self.tool, tool[1])
            why = failure.plain(messages.EXCEPTION, "TypeError", verb)
        else:
            try:
                return tool[0], keywords_of(self._start)
            except BaseException as error:
                why = failure.bare(messages.DECODE, error)
        self._answer(failure=why)
        return None

    def reply(self, value: Any) -> None:
        """Answer with what the tool returned."""
        encoded, refused = self._server.encode(value, "result")
        if refused is None:
            self._answer(value=encoded)
        else:
            self._answer(failure=refused)

    def fail(self, error: BaseException) -> None:
        """Answer with what the tool raised."""
        self._answer(failure=self._server.raised(error, self.call))

    def room(self) -> bool | None:
        """Whether the next item may be pulled; False: the stream must stop; None: not yet."""
        if self.call.cancelled or self._server.outbox.closed or self._unfit is not None:
            return False
        if self._kept is not None:
            if not self._window.has_room(len(self._kept)):
                return None
            self._send(self._kept)
            self._kept = None
        return True if self._window.has_room(0) else None

    def wait_for_room(self) -> bool:
        """As ``room``, but waits instead of None."""
        while (room := self.room()) is None:
            self._jobs.bell.wait_until(self._may_have_room)
        return room

    def _may_have_room(self) -> bool:
        size = 0 if self._kept is None else len(self._kept)
        stopped = self.call.cancelled or self._server.outbox.closed
        return stopped or self._window.has_room(size)

    def add(self, item: Any) -> None:
        """One more item; it leaves when there is room."""
        encoded, self._unfit = self._server.encode(item, "chunk")
        if self._unfit is not None:
            return
        if self._window.has_room(len(encoded)):
            self._send(encoded)
        else:
            self._kept = encoded

    def _send(self, encoded: bytes) -> None:
        self._server.stay_ourselves()
        self._window.send(len(encoded))
        self._server.outbox.item(self.call.id, encoded)

    def end(self) -> None:
        """Answer that the stream ended well."""
        self._answer(end=StreamEnd())

    def stop(self, error: BaseException | None = None) -> None:
        """Answer that the stream was stopped early; ``error``: what closing it raised."""
        why = self._unfit
        if why is None:
            why = failure.plain(messages.CANCELLED, "", "cancelled while it streamed")
        if error is not None:
            failure.add_second(why, self._server.raised(error, self.call))
        self._answer(failure=why)

    def _answer(self, **outcome: Any) -> None:
        self._server.stay_ourselves()
        with self._lock:
            if self._answered:
                return
            self._answered = True
        if self.call.execution is not None:
            self.call.execution.end(outcome.get("failure"))
        self._server.running.end(self.call)
        self._server.outbox.push(result=Result(call_id=self.call.id, **outcome))
        self._jobs.answered()

    def __repr__(self) -> str:
        return f"<Job {self.call.id} of {self.tool!r}>"
