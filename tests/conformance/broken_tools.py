"""The conformance tools of ``broken_worker.py``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from snakepit.conformance.protocol import messages

proto = messages()


class Tools:
    """Of a worker, which says what they tell."""

    fault: str
    info: Any
    wanted: Any
    known: set[str]

    def say(self, **frame: Any) -> None:
        """Send a frame to the host."""
        raise NotImplementedError

    def echo(self, call: Any, value: Any) -> Any:
        return value

    def fail(self, call: Any, message: str) -> None:
        raise ValueError(message)

    def large(self, call: Any, size: int) -> bytes:
        return bytes(size)

    def count(self, call: Any, upto: int, size: int = 0, then: str = "end") -> Iterator[Any]:
        for number in range(upto):
            yield bytes(size) if size else number
        if then == "fail":
            raise ValueError("count failed")
        if then == "wait":
            call.cancelled.wait()
            raise InterruptedError

    def wait(self, call: Any, started: str) -> None:
        Path(started).touch()
        call.cancelled.wait()
        raise InterruptedError

    def about(self, call: Any) -> dict[str, Any]:
        start = call.start
        is_known = self.fault == "keeps-session" and start.session_id in self.known
        self.known.add(start.session_id)
        left = start.time_left_us / 1e6 - (time.monotonic() - call.arrived)
        return {
            "session": start.session_id or None,
            "new": start.session_new and not is_known,
            "left": max(0.0, left) if start.time_left_us else None,
            "pool": self.info.pool,
            "slot": self.info.slot,
            "generation": self.info.generation,
        }

    def unencodable(self, call: Any) -> Any:
        return object()

    def measure(self, call: Any, name: str, count: int) -> None:
        most = 4096 if self.fault == "tells-too-much" else 1024
        for first in range(0, count, most):
            numbers = range(first, min(count, first + most))
            self.tell(call, "two words" if self.fault == "tells-badly" else name, numbers)

    def span(self, call: Any, span_id: bytes, began: int, status: int | None) -> None:
        """The execution of a call: as it begins, and with a status as it has ended."""
        if not self.is_told(call):
            return
        _, trace, around, _ = call.start.traceparent.split("-")
        span = proto.Span(
            trace_id=bytes.fromhex(trace),
            span_id=bytes.fromhex(around) if self.fault == "span-parents-id" else span_id,
            parent_span_id=b"" if self.fault == "span-orphan" else bytes.fromhex(around),
            name="two\nlines" if self.fault == "span-badly" else f"execute {call.start.tool}",
            start_ns=began,
            call_id=call.id,
        )
        if status is not None:
            span.end_ns = time.time_ns()
            span.status = 1 if self.fault == "span-well" else status
        elif self.fault == "span-once":
            return
        self.say(telemetry=proto.Telemetry(spans=[span]))

    def is_told(self, call: Any) -> bool:
        if self.wanted is None or self.fault == "span-none" or not call.start.traceparent:
            return False
        return self.fault == "span-always" or call.start.traceparent.endswith("1")

    def tell(self, call: Any, name: str, numbers: range) -> None:
        wanted = self.wanted
        if wanted is None:
            return
        if self.fault not in ("tells-all", "tells-unasked"):
            allowed = not wanted.allow or any(fnmatchcase(name, it) for it in wanted.allow)
            denied = any(fnmatchcase(name, it) for it in wanted.deny)
            if not wanted.enabled or wanted.sampling < 1 or not allowed or denied:
                return
        events = [
            proto.Event(
                name=name,
                call_id=call.id,
                measurements=[proto.Measurement(key="number", count=number)],
            )
            for number in numbers
        ]
        if self.fault == "tells-late":
            threading.Timer(0.5, lambda: self.say(telemetry={"events": events})).start()
        else:
            self.say(telemetry=proto.Telemetry(events=events))
