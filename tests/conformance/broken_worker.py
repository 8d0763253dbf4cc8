"""A worker in a few lines of grpcio, which can break each rule of the protocol on demand.

``broken_worker.py`` keeps them all; ``broken_worker.py FAULT`` breaks one. Frames alone: no page,
nothing of the SDK, so that it is a third implementation too. With ``segments``, or a fault of
``broken_segments.py``, it has a control socket and maps what the host gives it.
"""

from __future__ import annotations

import os
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from snakepit import _core
from snakepit.conformance.protocol import messages

sys.path.append(str(Path(__file__).parents[1]))
from conformance import broken_segments
from conformance.broken_segments import Segments
from conformance.broken_tools import Tools

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
FAULTS = """
    answers-cancel answers-twice attaches-twice bad-name bad-schema blank child-left cuts-ids
    dies-on-raise drain-code drain-drops empty-chunks empty-outcome end-first flushes-late
    garbage grants-add hello-last hello-twice holds-results ignores-bytes ignores-cancel
    ignores-items keeps-session long-failure long-form negative-zero no-failure no-oversize
    no-ready not-found-kind one-at-a-time one-drains ready-twice refused-stays refuses-several
    reorders runs-cancelled short-start shared-window span-always span-badly span-late span-none
    span-once span-orphan span-parents-id span-same span-well stays stranger stream-value
    strict-frames strict-keywords strict-profile tells-all tells-badly tells-late tells-too-much
    tells-unasked too-large trusts-arguments unlisted values-as-text waits-for-headers wrong-pid
    wrong-protocol wrong-token
"""
HAS_SEGMENTS = FAULT == "segments" or FAULT in broken_segments.FAULTS.split()
if FAULT and not HAS_SEGMENTS and FAULT not in FAULTS.split():
    sys.exit(f"there is no fault {FAULT}")

proto = messages()
KINDS = proto.Failure.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_name
STREAMING = {"count"}
NAMES = ["echo", "fail", "large", "count", "wait", "about", "unencodable", "measure"]


class Failed(Exception):
    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        kind = KINDS[f"FAILURE_KIND_{kind}"].number
        self.failure = proto.Failure(kind=kind, message=message, **more)


class Call:
    def __init__(self, start: Any) -> None:
        self.start = start
        self.id = start.call_id
        self.arrived = time.monotonic()
        self.cancelled = threading.Event()
        self.changed = threading.Event()
        self.taken = (0, 0)
        self.is_full = False
        self.came: list[bytes] | None = None  # instead of buffers that could not be read

    def granted(self, items: int, size: int) -> None:
        if FAULT == "grants-add":
            self.taken = (self.taken[0] + items, self.taken[1] + size)
        else:
            self.taken = (max(self.taken[0], items), max(self.taken[1], size))
        self.changed.set()

    def cancel(self) -> None:
        self.cancelled.set()
        self.changed.set()


class Worker(Tools):
    fault = FAULT

    def __init__(self, start: Any) -> None:
        self.start = start
        self.said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.calls: dict[int, Call] = {}
        self.waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self.info: Any = None
        self.held: list[Any] = []
        self.answering = threading.Lock()
        self.threads: list[threading.Thread] = []
        self.known: set[str] = set()
        self.capacity = 1
        self.exit_code = 70
        self.wanted: Any = None
        self.segments: Segments | None = None

    # --- line -------------------------------------------------------------------------------------

    def say(self, **frame: Any) -> None:
        self.said.put(proto.WorkerFrame(**frame).SerializeToString())

    def main(self) -> int:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        options.append(("grpc.default_authority", "localhost"))
        channel = grpc.insecure_channel(f"unix:{self.start.socket_path}", options=options)
        attach = channel.stream_stream(
            "/snakepit.v1.Host/Attach",
            request_serializer=lambda frame: frame,
            response_deserializer=lambda raw: raw,
        )
        if FAULT != "waits-for-headers":
            self.hello()

        def frames() -> Iterator[bytes]:
            twice = FAULT == "attaches-twice"
            for frame in iter(self.said.get, None):
                yield frame
                if twice:  # Hello is out, so the host sees this one second.
                    threading.Thread(target=lambda: list(attach(iter([]))), daemon=True).start()
                    twice = False

        line = attach(frames())
        if FAULT == "waits-for-headers":
            line.initial_metadata()
            self.hello()
        try:
            for raw in line:
                self.read(raw)
        except grpc.RpcError as error:
            if FAULT == "refused-stays" and error.code() == grpc.StatusCode.PERMISSION_DENIED:
                threading.Event().wait()
        if FAULT == "stays":
            threading.Event().wait()
        return self.exit_code

    def hello(self) -> None:
        hello = proto.Hello(token=self.start.token, protocol=1, pid=os.getpid(), telemetry=True)
        if HAS_SEGMENTS:
            hello.control = hello.arenas = True
            self.segments = Segments(FAULT, self.told_aside)
            threading.Thread(target=self.segments.listen, daemon=True).start()
        if FAULT == "wrong-token":
            hello.token = bytes(32)
        if FAULT == "wrong-protocol":
            hello.protocol = 2
        if FAULT == "wrong-pid":
            hello.pid = 1
        if FAULT == "hello-last":
            self.say(ready={})
        if FAULT == "garbage":
            self.said.put(b"\xff" * 16)
        self.say(hello=hello)
        if FAULT == "hello-twice":
            self.say(hello=hello)

    def read(self, raw: bytes) -> None:
        frame = proto.HostFrame.FromString(raw)
        kind = frame.WhichOneof("frame")
        if kind == "initialize":
            self.initialize(frame.initialize)
        elif kind == "start_call":
            call = self.calls[frame.start_call.call_id] = Call(frame.start_call)
            self.waiting.put(call)
        elif kind == "cancel_call":
            self.cancel(frame.cancel_call.call_id)
        elif kind == "grant_chunks":
            grant = frame.grant_chunks
            if call := self.calls.get(grant.call_id):
                call.granted(grant.items, grant.bytes)
        elif kind == "buffer_bytes" and self.segments:
            if call := self.segments.more(frame.buffer_bytes):
                self.waiting.put(call)
        elif kind == "telemetry_control":
            self.wanted = frame.telemetry_control
        elif kind == "drain":
            if FAULT == "drain-drops":
                self.leave(0)
            else:
                threading.Thread(target=self.drain, daemon=True).start()
        elif FAULT == "strict-frames":
            raise ValueError("a frame of an unknown kind")

    def told_aside(self, kind: bytes, rest: bytes) -> None:
        if kind == b"C":
            self.cancel(*struct.unpack("<Q", rest))

    def cancel(self, call_id: int) -> None:
        call = self.calls.get(call_id)
        if FAULT == "answers-cancel" and not call:
            self.answer(call_id, failure=Failed("CANCELLED", "there is no such call").failure)
        if call and FAULT != "ignores-cancel":
            call.cancel()

    def drain(self) -> None:
        for _ in self.threads:
            self.waiting.put(None)
        # One that is idle has nothing to end.
        for thread in self.threads[: 0 if FAULT == "one-drains" else None]:
            thread.join()
        self.leave(3 if FAULT == "drain-code" else 0)

    def leave(self, code: int) -> None:
        """Hangs up; the host does so too once it has read all, and that ends ``main``."""
        self.exit_code = code
        self.said.put(None)

    def initialize(self, order: Any) -> None:
        self.info = order
        if order.HasField("telemetry") or FAULT == "tells-unasked":
            self.wanted = order.telemetry
        message = ""
        try:
            message = _core.decode(order.arguments).get("fail")
        except Exception as error:
            if FAULT == "trusts-arguments":
                raise
            message = f"adapter_args: {error}"
        if FAULT == "strict-profile" and order.profile > 3:
            message = "an unknown profile"
        if FAULT == "refuses-several" and order.capacity > 1:
            message = "one call at a time"
        if message:
            if FAULT == "no-failure":
                os._exit(1)
            failure = Failed("EXCEPTION", message, type_name="ValueError").failure
            self.say(start_failed=proto.StartFailed(failure=failure))
            return
        names = NAMES[:4] if FAULT == "unlisted" else NAMES
        tools = [proto.Tool(name=name, streaming=name in STREAMING) for name in names]
        if FAULT == "bad-name":
            tools.append(proto.Tool(name="two words"))
        if FAULT == "bad-schema":
            tools.append(proto.Tool(name="more", parameters="[]"))
        self.capacity = 1 if FAULT == "one-at-a-time" else max(order.capacity, 1)
        for _ in range(self.capacity):
            thread = threading.Thread(target=self.work, daemon=True)
            thread.start()
            self.threads.append(thread)
        for _ in range({"no-ready": 0, "ready-twice": 2}.get(FAULT, 1)):
            self.say(ready=proto.Ready(tools=tools))

    # --- calls ------------------------------------------------------------------------------------

    def work(self) -> None:
        if FAULT == "child-left":
            subprocess.Popen(["sleep", "600"])
        while call := self.waiting.get():
            began = time.time_ns()
            span_id = bytes(7) + b"1" if FAULT == "span-same" else os.urandom(8)
            self.span(call, span_id, began, None)
            try:
                outcome = self.outcome(call)
            except broken_segments.Refused:
                self.say(unread=proto.Unread(call_id=call.id))
                continue
            except Failed as error:
                outcome = {"failure": error.failure}
            except Exception as error:
                if FAULT == "dies-on-raise":
                    os._exit(1)
                cancelled = call.cancelled.is_set()
                message = str(error) if FAULT == "long-failure" else str(error)[:9999]
                more = {"type_name": type(error).__name__}
                kind = "CANCELLED" if cancelled else "EXCEPTION"
                outcome = {"failure": Failed(kind, message, **more).failure}
            del self.calls[call.id]
            if FAULT == "span-late":
                self.answer(call.id, **outcome)
            self.span(call, span_id, began, 2 if "failure" in outcome else 1)
            if FAULT != "span-late":
                self.answer(call.id, **outcome)

    def answer(self, call_id: int, **outcome: Any) -> None:
        if FAULT == "cuts-ids":
            call_id = int(float(call_id))
        if FAULT == "stranger":
            call_id += 1
        if FAULT == "empty-outcome":
            outcome = {}
        if FAULT == "blank":
            self.said.put(b"")
        with self.answering:
            self.say_result(proto.Result(call_id=call_id, **outcome))

    def say_result(self, result: Any) -> None:
        self.held.append(result)
        if FAULT == "reorders" and len(self.held) < 2 and not self.waiting.empty():
            return
        if FAULT == "holds-results" and not self.waiting.empty():
            return
        for result in reversed(self.held):
            for _ in range(2 if FAULT == "answers-twice" else 1):
                self.say(result=result)
        self.held.clear()

    def outcome(self, call: Call) -> dict[str, Any]:
        start = call.start
        if call.cancelled.is_set() and FAULT != "runs-cancelled":
            kind = "EXCEPTION" if FAULT == "gone-kind" else "CANCELLED"
            raise Failed(kind, "cancelled before it started")
        if start.tool not in NAMES:
            kind = "EXCEPTION" if FAULT == "not-found-kind" else "TOOL_NOT_FOUND"
            raise Failed(kind, f"no tool {start.tool[:999]}")
        if start.streaming != (start.tool in STREAMING):
            raise Failed("EXCEPTION", "the wrong verb", type_name="TypeError")
        try:
            arguments = _core.decode(start.arguments, "args", self.buffers(call))
            assert all(isinstance(name, str) for name in arguments)
            assert FAULT != "strict-keywords" or all(map(str.isidentifier, arguments))
        except broken_segments.Refused:
            raise
        except Exception as error:
            raise Failed("DECODE", f"args: {error}") from error
        produced = getattr(self, start.tool)(call, **arguments)
        if start.streaming:
            self.stream(call, produced)
            return {"value": _core.encode(None)} if FAULT == "stream-value" else {"end": {}}
        if self.segments and self.info.HasField("shared_memory"):
            outside: list[Any] = []
            threshold = self.info.shared_memory.threshold
            encoded = _core.encode(produced, "result", None, outside, threshold)
            told = [self.segments.tell(bytes(content)) for content in outside]
            return {"value": encoded, "buffers": [proto.Buffer(**fields) for fields in told]}
        return {"value": self.encode(produced)}

    def buffers(self, call: Call) -> list[bytes]:
        named, segments = call.start.buffers, self.segments
        if call.came is not None or not segments:
            return call.came or [bytes(buffer.inline) for buffer in named]
        try:
            return segments.read(named)
        except broken_segments.Refused as error:
            if FAULT == "refuses-calls":
                raise ValueError("its segment was refused") from error
            segments.park(call)
            raise

    def encode(self, value: Any) -> bytes:
        if FAULT == "negative-zero" and isinstance(value, float):
            value = value + 0.0
        if FAULT == "values-as-text" and not isinstance(value, int | str):
            value = str(value)
        try:
            encoded = _core.encode(value)
        except Exception as error:
            raise Failed("ENCODE", str(error), type_name="object") from error
        if FAULT == "long-form" and value == 0:
            encoded = b"\xcc\x00"
        size, limit = len(encoded), self.start.max_message
        if size > limit and FAULT != "too-large":
            raise Failed("TOO_LARGE", "too large", size=size, limit=limit)
        return encoded

    def stream(self, call: Call, items: Iterator[Any]) -> None:
        start = call.start
        sent_items = sent_bytes = 0
        gathered: list[bytes] = []
        for item in items:
            encoded = self.encode(item)
            while not call.cancelled.is_set():
                call.changed.clear()
                if FAULT == "shared-window" and any(it.is_full for it in [*self.calls.values()]):
                    call.changed.wait(0.01)
                    continue
                unread = sent_items - call.taken[0]
                fits = sent_bytes - call.taken[1] + len(encoded) <= start.window_bytes
                if (
                    (unread <= 0 and (fits or FAULT != "no-oversize"))
                    or ((unread < start.window_items or FAULT == "ignores-items") and fits)
                    or (FAULT == "ignores-bytes" and unread < start.window_items)
                ):
                    break
                call.is_full = FAULT == "shared-window" and self.capacity > 1
                call.changed.wait()
            if call.cancelled.is_set():
                raise Failed("CANCELLED", "cancelled while it streamed")
            sent_items, sent_bytes = sent_items + 1, sent_bytes + len(encoded)
            if FAULT == "end-first" and item == 2:
                self.answer(call.id, end={})
            if FAULT == "empty-chunks":
                self.say(chunks=proto.Chunks(call_id=call.id))
            gathered.append(encoded)
            if FAULT != "flushes-late" or sum(map(len, gathered)) >= 64 * 1024:
                self.say(chunks=proto.Chunks(call_id=call.id, items=gathered))
                gathered = []
        if gathered:
            self.say(chunks=proto.Chunks(call_id=call.id, items=gathered))


if __name__ == "__main__":
    raw = os.read(0, 1 << 16 if FAULT == "short-start" else 1 << 18)
    os._exit(Worker(proto.Start.FromString(raw[1:])).main())
