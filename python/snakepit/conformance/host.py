"""A host of a few lines: it says to one worker exactly what a test wants, and notes the answers.

Not a pool: no queue, no deadline, no restart. It serves the line through grpcio, so that the two
ends are not one implementation that agrees with itself.
"""

from __future__ import annotations

import itertools
import queue
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakepit import _core

from .launch import Launch, Process
from .protocol import PACKAGE, messages

BOUND = 20.0
"""Seconds that anything may take on a slow machine, unless a host is told otherwise."""

_SLICE = 0.1
_LAST_WORDS = 0.5
"""Seconds between the end of a process and that of its line, which tells more."""

HEADROOM = 64 << 10
"""Bytes that a frame may take beside a value of ``max_message``."""

# A frame above the limit is to be named as such; the server would end the line without a word.
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Silence(Exception):  # noqa: N818
    """The worker said nothing within the bound."""


class LineEnded(Exception):  # noqa: N818
    """The worker's line ended where a frame was due."""


@dataclass(frozen=True)
class OverlongFrame:
    """What is noted of a frame above the limit: no host reads it."""

    size: int


class OutOfTurn(Exception):  # noqa: N818
    """The worker said something else than what was due."""

    def __init__(self, due: str, frame: Any) -> None:
        super().__init__(f"{due} was due, and {shown(frame)} came")
        self.due = due
        self.frame = frame


class ScriptedHost:
    """One worker and its host.

    Args:
        launch: The worker to start.
        folder: Where the socket may lie; short, since a socket's path is bounded.
        max_message: Bytes that a value may take.
        arguments: The adapter's arguments; bytes go as they are.
        bound: Seconds that anything may take.
        start: Fields of the start message that are to differ, by name.
        initialize: Fields of Initialize that are to differ, by name.
        start_extra: Bytes after the encoded start message, for fields that there are not.
        refuses: Turns every worker away, as a host does that does not know its token.
    """

    def __init__(
        self,
        launch: Launch,
        folder: Path,
        *,
        max_message: int = 1 << 20,
        arguments: dict[str, Any] | bytes | None = None,
        bound: float = BOUND,
        start: dict[str, Any] | None = None,
        initialize: dict[str, Any] | None = None,
        start_extra: bytes = b"",
        refuses: bool = False,
    ) -> None:
        self.bound = bound
        self.max_message = max_message
        self.largest_frame = max_message + HEADROOM
        self.hello: Any = None
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """What the worker said and nobody has looked at yet; None: its line has ended."""
        self.token = secrets.token_bytes(32)
        self.attached = 0
        """How often the worker opened Attach."""
        self.spoke = False
        """The worker has sent a frame, whatever it says."""
        self._refuses = refuses
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        proto = messages()
        encoded = arguments if isinstance(arguments, bytes) else _core.encode(arguments or {})
        place = {"arguments": encoded, "pool": "line", "slot": 3, "generation": 7}
        self._initialize = proto.Initialize(**{**place, **(initialize or {})})
        profiles = proto.Initialize.DESCRIPTOR.fields_by_name["profile"].enum_type.values_by_name
        on_loop = self._initialize.profile == profiles["PROFILE_ASYNC"].number
        if source := launch.adapter(on_loop=on_loop):
            self._initialize.adapter.CopyFrom(proto.AdapterSource(**source))
        self._threads = ThreadPoolExecutor(2)
        self._reader = ThreadPoolExecutor(1)
        import grpc  # Not above: what the kit can list, it can list without.

        self._server = grpc.server(self._threads, options=_UNLIMITED)
        path = str(folder / secrets.token_hex(4))
        self._server.add_generic_rpc_handlers((self._service(),))
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()
        fields = {
            "token": self.token,
            "socket_path": path,
            "max_message": max_message,
            **launch.start_fields(),
            **(start or {}),
        }
        try:
            encoded = proto.Start(**fields).SerializeToString() + start_extra
            self.process = Process(launch, encoded, bound)
        except BaseException:
            self._stop_serving()
            raise

    def _service(self) -> Any:
        import grpc

        attach = grpc.stream_stream_rpc_method_handler(
            self._attach,
            request_deserializer=self._parsed,
            response_serializer=lambda frame: frame,
        )
        return grpc.method_handlers_generic_handler(f"{PACKAGE}.Host", {"Attach": attach})

    def _attach(self, said: Iterator[Any], context: Any) -> Iterator[bytes]:
        import grpc

        self.attached += 1
        if self._refuses:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "unknown token")
        if self.attached > 1:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this token was used already")
        self._reader.submit(self._read, said)
        while (frame := self._outgoing.get()) is not None:
            yield frame

    def _read(self, said: Iterator[Any]) -> None:
        import grpc

        try:
            for frame in said:
                self.spoke = True
                whole = not isinstance(frame, bytes | OverlongFrame)
                kind = frame.WhichOneof("frame") if whole else None
                self.frames.put(getattr(frame, kind) if kind else frame)
        except grpc.RpcError:
            pass
        finally:
            self.frames.put(None)
            self.hang_up_line()  # as a host does whose worker has nothing more to say

    def _parsed(self, said: bytes) -> Any:
        from google.protobuf.message import DecodeError

        if len(said) > self.largest_frame:
            return OverlongFrame(len(said))
        try:
            return messages().WorkerFrame.FromString(said)
        except DecodeError:
            return said

    # --- control socket ---------------------------------------------------------------------------

    @property
    def control(self) -> Any:
        """The host's end of the control socket."""
        return self.process.control

    def heard(self) -> tuple[bytes, bytes, list[int]]:
        """The next message of the control socket: kind, fields, descriptors."""
        return self.process.heard()

    def cancel(self, call: int) -> None:
        """Cancels a call: where this worker's end looks for it."""
        if self.hello.control:
            self.control.send(struct.pack("<cQ", b"C", call))
        else:
            self.send(cancel_call=messages().CancelCall(call_id=call))

    def grant(self, call: int, items: int, size: int) -> None:
        """The reader has taken so much since the call began."""
        if self.hello.control:
            self.control.send(struct.pack("<cQQQ", b"G", call, items, size))
        else:
            grant = messages().GrantChunks(call_id=call, items=items, bytes=size)
            self.send(grant_chunks=grant)

    def probe(self, nonce: int) -> None:
        self.control.send(struct.pack("<cQ", b"P", nonce))

    def probed(self) -> int:
        kind, rest, _ = self.heard()
        if kind != b"A" or len(rest) != 8:
            raise OutOfTurn("the answer to a probe (A, nonce)", kind + rest)
        (nonce,) = struct.unpack("<Q", rest)
        return int(nonce)

    # --- line -------------------------------------------------------------------------------------

    def greet(self) -> Any:
        """Waits for Hello."""
        self.hello = self._due(self.frame(), "Hello", "Hello")
        return self.hello

    def handshake(self) -> Any:
        """Hello and Initialize; returns the answer to the latter, Ready or StartFailed."""
        self.greet()
        self.send(initialize=self._initialize)
        return self.frame()

    def send(self, **frame: Any) -> None:
        self.send_bytes(messages().HostFrame(**frame).SerializeToString())

    def send_bytes(self, frame: bytes) -> None:
        """Sends what may be no frame."""
        self._outgoing.put(frame)

    def frame(self) -> Any:
        """The next frame of the worker; None when its line has ended."""
        end = time.monotonic() + self.bound
        while time.monotonic() < end:
            if (frame := self.frame_within(_SLICE)) is not False:
                return frame
            if self.process.ended(0):
                # What it said last may be on its way.
                if (frame := self.frame_within(_LAST_WORDS)) is not False:
                    return frame
                code = self.process.exit_code(self.bound)
                raise LineEnded(f"the worker exited with code {code} without another frame")
        raise Silence(f"the worker said nothing for {self.bound:g} s")

    def frame_within(self, seconds: float) -> Any:
        """The next frame if there is one soon, else False."""
        try:
            frame = self.frames.get(timeout=seconds)
        except queue.Empty:
            return False
        if isinstance(frame, OverlongFrame):
            due = f"a frame of at most {self.largest_frame} bytes (max_message + 64 KiB)"
            raise OutOfTurn(due, frame)
        return frame

    def call(
        self,
        tool: str,
        /,
        *,
        raw: bytes | None = None,
        call: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> int:
        """Starts a call; ``call`` are more fields of its frame."""
        fields = {"call_id": next(self._ids), **(call or {})}
        encoded = _core.encode(arguments) if raw is None else raw
        self.send(start_call=messages().StartCall(tool=tool, arguments=encoded, **fields))
        return int(fields["call_id"])

    def stream(
        self,
        tool: str,
        /,
        *,
        window_items: int = 1024,
        window_bytes: int = 1 << 20,
        **arguments: Any,
    ) -> int:
        window = {"window_items": window_items, "window_bytes": window_bytes}
        return self.call(tool, call={"streaming": True, **window}, **arguments)

    def outcome(self, call: int) -> Any:
        """The next frame, which must be this call's Result."""
        return self._due(self.frame(), f"the Result of call {call}", "Result", call)

    def value(self, call: int) -> bytes:
        """The encoded value of the next frame, which must be this call's result."""
        return bytes(self._outcome(call, "value").value)

    def result(self, call: int) -> Any:
        """The decoded value of the next frame, which must be this call's result."""
        return _core.decode(self.value(call))

    def failure(self, call: int) -> Any:
        return self._outcome(call, "failure").failure

    def end(self, call: int) -> None:
        """The next frame must be the good end of this stream."""
        self._outcome(call, "end")

    def chunk(self, call: int) -> list[Any]:
        """The decoded items of the next frame, which must be a chunk of this call."""
        frame = self._due(self.frame(), f"Chunks of call {call}", "Chunks", call)
        return [_core.decode(item) for item in _items(frame)]

    def read(self, call: int) -> tuple[list[Any], Any]:
        """Reads a stream to its end, granting as a reader does: its items, and its Result."""
        items: list[Any] = []
        taken = 0
        while type(frame := self.frame()).__name__ == "Chunks" and frame.call_id == call:
            items += [_core.decode(item) for item in _items(frame)]
            taken += sum(map(len, frame.items))
            self.grant(call, len(items), taken)
        return items, self._due(frame, f"the Result of call {call}", "Result", call)

    @staticmethod
    def decode(item: bytes) -> Any:
        return _core.decode(item)

    def _outcome(self, call: int, wanted: str) -> Any:
        result = self.outcome(call)
        if result.WhichOneof("outcome") != wanted:
            raise OutOfTurn(f"a Result of call {call} with {wanted}", result)
        return result

    def _due(self, frame: Any, due: str, kind: str, call: int | None = None) -> Any:
        if frame is None:
            raise LineEnded(f"the worker's line ended where {due} was due")
        if type(frame).__name__ != kind or (call is not None and frame.call_id != call):
            raise OutOfTurn(due, frame)
        return frame

    # --- ends -------------------------------------------------------------------------------------

    @property
    def worker_pid(self) -> int:
        return self.process.pid

    def worker_ended(self, bound: float | None = None) -> bool:
        return self.process.ended(self.bound if bound is None else bound)

    def hang_up_line(self) -> None:
        """Ends the line, and the line only."""
        self._outgoing.put(None)

    def close(self) -> list[str]:
        """Ends the worker like a host that dies; returns the processes that are left of it."""
        self.hang_up_line()
        in_time = self.process.close(self.bound)
        self._stop_serving()
        end = time.monotonic() + self.bound
        while (left := self.process.left()) and time.monotonic() < end:
            time.sleep(0.01)
        return left if in_time else [*left, f"{self.worker_pid} (killed: it survived its host)"]

    def _stop_serving(self) -> None:
        self._outgoing.put(None)
        self._server.stop(None).wait(self.bound)
        self._reader.shutdown(wait=False)
        self._threads.shutdown(wait=False)


def until(condition: Callable[[], bool], bound: float) -> bool:
    """Waits for what a tool does to say how far it is. False: it did not within the bound."""
    end = time.monotonic() + bound
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def _items(chunks: Any) -> Any:
    if not chunks.items:
        raise OutOfTurn("at least one item in each Chunks", chunks)
    return chunks.items


def shown(frame: Any) -> str:
    """A frame in one line: its kind and what matters of it."""
    if frame is None:
        return "the end of the line"
    if isinstance(frame, OverlongFrame):
        return f"one of {frame.size} bytes"
    if isinstance(frame, bytes):
        return f"the bytes {frame[:40]!r}, which are no frame,"
    name = type(frame).__name__
    text = " ".join(str(frame).split())
    return f"{name} {{ {text[:200]}{' …' if len(text) > 200 else ''} }}".replace("{  }", "{ }")
