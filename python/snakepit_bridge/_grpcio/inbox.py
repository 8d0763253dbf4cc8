"""What the host says, for whoever waits for it.

Calls are for the main thread, answers of host tools for the threads and coroutines that asked.

.. code-block:: text

    whoever waits ── next() ──▶ frame ─┬─ StartCall, Drain ───────────────▶ aside ─▶ main thread
                                       ├─ HostToolResult, HostToolChunks ─▶ the reply of that number
                                       └─ TelemetryControl ───────────────▶ kept for who tells

One thread at a time reads, for all; it leaves when it has what it waits for, and another one takes
over. For coroutines a thread of its own waits, which the first of them starts.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc

from snakepit_bridge import _values

from .messages import CallHostTool, CancelHostTool, GrantHostToolChunks, inline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from snakepit_bridge._native import Report

    from .outbox import Outbox
    from .running import Call

_LIMIT = 256
"""Host tools that the host lets us have under way, as ``worker.proto`` says."""
_WINDOW_ITEMS, _WINDOW_BYTES = 1024, 1 << 20
"""How far the host may be ahead of the reader of a stream."""


class Inbox:
    """The frames of one line."""

    def __init__(
        self,
        frames: Iterator[Any],
        outbox: Outbox,
        max_message: int,
        substitute: Callable[[Any], Any] | None = None,
    ) -> None:
        self._frames = frames
        self._outbox = outbox
        self._max_message = max_message
        self._substitute = substitute
        self._pid = os.getpid()
        self._changed = threading.Condition()
        # All below is guarded by it.
        self._is_read = False
        self._aside: deque[Any] = deque()
        self._ended = False
        self._asked: dict[int, Reply] = {}
        self._last = 0
        self._watched = 0
        self._pump: threading.Thread | None = None

    def next_frame(self) -> Any:
        """The next frame for the main thread; None when the line has ended."""
        self.read_until(lambda: bool(self._aside) or self._ended)
        return self._aside.popleft() if self._aside else None

    def read_until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done``, which is asked under the lock, and read meanwhile if nobody does."""
        with self._changed:
            while not done():
                if self._is_read:
                    self._changed.wait()
                    continue
                self._is_read = True
                self._changed.release()
                try:
                    frame = self._read()
                finally:
                    self._changed.acquire()
                    self._is_read = False
                    self._changed.notify_all()
                self._route(frame)

    def _read(self) -> Any:
        try:
            return next(self._frames, None)
        except grpc.RpcError:
            return None

    def _route(self, frame: Any) -> None:
        said = None if frame is None else frame.WhichOneof("frame")
        if said == "host_tool_result":
            result = frame.host_tool_result
            reply = self._asked.pop(result.id, None)
            if reply is not None:
                self._tell(reply, _end(result))
        elif said == "host_tool_chunks":
            reply = self._asked.get(frame.host_tool_chunks.id)
            if reply is not None:
                chunks = frame.host_tool_chunks
                # What is beside items belongs to the only one of its frame.
                reply.items.extend((item, chunks.buffers) for item in chunks.items)
                self._tell(reply, None)
        elif said == "telemetry_control":
            self._outbox.outlet.want(frame.telemetry_control)
        elif frame is not None:
            self._aside.append(frame)
        else:
            self._ended = True
            asked, self._asked = self._asked, {}
            for reply in asked.values():
                self._tell(reply, ("gone", None))

    def _tell(self, reply: Reply, end: tuple[str, Any] | None) -> None:
        reply.end = reply.end or end
        callback, reply.callback = reply.callback, None
        if callback is not None:
            self._watched -= 1
            callback()

    # --- what is asked ----------------------------------------------------------------------------

    def ask(
        self, call: Call, name: str, arguments: dict[str, Any], streaming: bool, span: bytes
    ) -> Reply:
        """Ask the host to run one of its tools, on behalf of a call that runs, inside of a span."""
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this process is a fork of the worker: only the worker itself can call the host"
            )
        encoded = _values.encode(arguments, "args", self._substitute)
        size, limit = len(encoded), self._max_message
        if size > limit:
            raise ValueError(
                f"host tool {name}: its arguments take {size} bytes, {limit} are allowed: "
                "raise max_message, or send less"
            )
        with self._changed:
            if call.over:
                raise RuntimeError(
                    "the call has ended: a host tool can be called only while it runs"
                )
            under_way = sum(reply.size for reply in self._asked.values())
            if len(self._asked) >= _LIMIT or (self._asked and under_way + size > limit):
                raise RuntimeError(
                    "too many host tools at once: 256 may be under way in a worker, "
                    "with max_message bytes of arguments together"
                )
            self._last += 1
            reply = Reply(self, self._last, size)
            if self._ended:
                reply.end = ("gone", None)
            else:
                self._asked[reply.id] = reply
            ask = CallHostTool(
                id=reply.id,
                call_id=call.id,
                name=name,
                arguments=encoded,
                streaming=streaming,
                window_items=_WINDOW_ITEMS if streaming else 0,
                window_bytes=_WINDOW_BYTES if streaming else 0,
                span_id=span,
            )
            # Under the lock: the call is not answered before.
            self._outbox.push(call_host_tool=ask)
        return reply

    def finish(self, call: Call) -> None:
        """Nothing is asked for this call from now on: the host would take it for a lie."""
        with self._changed:
            call.over = True

    def watch(self, reply: Reply, callback: Callable[[], object]) -> bool:
        with self._changed:
            if reply.is_ready():
                return False
            reply.callback = callback
            self._watched += 1
            if self._pump is None:
                self._pump = threading.Thread(target=self._run, name="snakepit-pump", daemon=True)
                self._pump.start()
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        while not self._ended:
            with self._changed:
                while not self._watched and not self._ended:
                    self._changed.wait()
            self.read_until(lambda: not self._watched or self._ended)

    def forget(self, reply: Reply) -> None:
        """Nobody waits for it any more."""
        with self._changed:
            if reply.end is not None:
                return
            self._asked.pop(reply.id, None)
            if reply.callback is not None:
                reply.callback = None
                self._watched -= 1
            self._changed.notify_all()
        self._outbox.push(cancel_host_tool=CancelHostTool(id=reply.id))

    def grant(self, reply_id: int, items: int, size: int) -> None:
        grant = GrantHostToolChunks(id=reply_id, items=items, bytes=size)
        self._outbox.push(grant_host_tool_chunks=grant)


class Reply:
    """A host tool that was asked for: ``_native.HostReply``."""

    def __init__(self, inbox: Inbox, reply_id: int, size: int) -> None:
        self._inbox = inbox
        self.id = reply_id
        self.size = size
        self.items: deque[tuple[bytes, Any]] = deque()
        self.end: tuple[str, Any] | None = None
        self.callback: Callable[[], object] | None = None
        self._over = False
        self._taken = [0, 0]
        self._granted = [0, 0]

    def is_ready(self) -> bool:
        return bool(self.items) or self.end is not None

    def wait(self) -> None:
        """Block until an item or the end is here."""
        self._inbox.read_until(self.is_ready)

    def watch(self, callback: Callable[[], object]) -> bool:
        """Have it called once, from any thread, when one is; False: one is here already."""
        return self._inbox.watch(self, callback)

    def take(self) -> tuple[str, Any] | None:
        """What comes next, once. None: nothing is here."""
        if self.items:
            item, buffers = self.items.popleft()
            self._note_taken(len(item) + sum(len(buffer.inline) for buffer in buffers))
            return "item", _values.decode(item, "item", inline(buffers, "item"))
        if self.end is None or self._over:
            return None
        self._over = True
        what, value = self.end
        if what != "value":
            return what, value
        return what, _values.decode(value.value, "result", inline(value.buffers, "result"))

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._inbox.forget(self)

    def _note_taken(self, size: int) -> None:
        taken, granted = self._taken, self._granted
        taken[0] += 1
        taken[1] += size
        if (
            taken[0] - granted[0] >= _WINDOW_ITEMS // 2
            or taken[1] - granted[1] >= _WINDOW_BYTES // 2
        ):
            self._granted = [*taken]
            self._inbox.grant(self.id, *taken)


def _end(result: Any) -> tuple[str, Any]:
    outcome = result.WhichOneof("outcome")
    if outcome == "value":
        return "value", result
    if outcome == "end":
        return "end", None
    told = result.failure
    return "failure", (told.kind, _report(told), list(told.suggestions), told.size, told.limit)


def _report(told: Any) -> Report:
    """An exception of the host as the SDK reports those of the worker."""
    cause = _report(told.cause) if told.HasField("cause") else None
    context = _report(told.context) if told.HasField("context") else None
    members = [_report(member) for member in told.exceptions]
    notes = list(told.notes)
    detail = (notes, cause, context, members, None, None)
    plain = not (notes or cause or context or members)
    return told.type_name, told.message, told.traceback, None if plain else detail
