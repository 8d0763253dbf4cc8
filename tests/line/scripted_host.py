"""A host of a few lines: it says to one worker exactly what a test wants, and notes the answers.

Not a pool: no queue, no deadline, no restart. It spawns a real worker (shim, boot, SDK, native
end) and speaks the protocol of ``proto/snakepit/v1`` through grpcio, so that the two ends of the
line are not one implementation that agrees with itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import mmap
import os
import queue
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from snakepit import _core

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = ROOT / "python" / "snakepit_bridge"
BOUND = 20.0
"""Seconds that anything may take on a slow machine; a test that waits so long fails."""

QUEUED, STARTED, REVOKED, DONE = 1, 2, 3, 4
_STATE_BITS = 3
_WORD_BYTES = 64


def _protocol() -> SimpleNamespace:
    """Message classes of the protocol, made at run time: no generated code to keep in step."""
    files = sorted(str(file) for file in (ROOT / "proto/snakepit/v1").glob("*.proto"))
    with tempfile.NamedTemporaryFile() as compiled:
        command = ["protoc", f"-I{ROOT / 'proto'}", f"--descriptor_set_out={compiled.name}", *files]
        assert protoc.main(command) == 0
        described = FileDescriptorSet.FromString(compiled.read())
    messages = message_factory.GetMessages(described.file)
    return SimpleNamespace(**{name.removeprefix("snakepit.v1."): m for name, m in messages.items()})


proto = _protocol()


def kind(failure: Any) -> str:
    """The name of a failure's kind: ``EXCEPTION``, ``ENCODE`` …"""
    names = failure.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    return str(names[failure.kind].name.removeprefix("FAILURE_KIND_"))


def appears(file: Path) -> None:
    """Waits for a file that a tool makes to say how far it is."""
    end = time.monotonic() + BOUND
    while not file.exists():
        assert time.monotonic() < end, f"{file} did not appear"
        time.sleep(0.001)


class Page:
    """The shared page, seen from the host."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, 4096)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self._map = mmap.mmap(self.fd, 4096)

    def set(self, index: int, call: int, state: int) -> None:
        word = call << _STATE_BITS | state
        struct.pack_into("<Q", self._map, index * _WORD_BYTES, word)

    def state(self, index: int) -> int:
        word: int = struct.unpack_from("<Q", self._map, index * _WORD_BYTES)[0]
        return word & ((1 << _STATE_BITS) - 1)

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)


class ScriptedHost:
    """One worker and its host.

    Args:
        folder: Where the socket may lie; short, since a socket's path is bounded.
        adapter: ``module:Class``, importable from ``sys_path``.
        max_message: Bytes that a value may take.
        line: The worker's end.
        python: The worker's interpreter.
    """

    def __init__(
        self,
        folder: Path,
        adapter: str,
        sys_path: list[str],
        max_message: int,
        line: str = "native",
        python: str = sys.executable,
    ) -> None:
        self.line = line
        self._python = python
        self.page = Page()
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._token = secrets.token_bytes(32)
        module, _, name = adapter.partition(":")
        source = proto.AdapterSource(module=module, qualname=name)
        self._initialize = proto.Initialize(
            adapter=source, arguments=_core.encode({}), pool="line", generation=1
        )
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        self._server = grpc.server(ThreadPoolExecutor(2), options=options)
        path = str(folder / secrets.token_hex(4))
        self._server.add_generic_rpc_handlers((self._service(),))
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()
        self._spawn(path, sys_path, max_message)

    def _service(self) -> Any:
        attach = grpc.stream_stream_rpc_method_handler(
            self._attach,
            request_deserializer=proto.WorkerFrame.FromString,
            response_serializer=proto.HostFrame.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("snakepit.v1.Host", {"Attach": attach})

    def _attach(self, said: Iterator[Any], context: Any) -> Iterator[Any]:
        self._reader = ThreadPoolExecutor(1)
        self._reader.submit(self._read, said)
        while (frame := self._outgoing.get()) is not None:
            yield frame

    def _read(self, said: Iterator[Any]) -> None:
        try:
            for frame in said:
                self.frames.put(getattr(frame, frame.WhichOneof("frame")))
        except grpc.RpcError:
            pass
        finally:
            self.frames.put(None)
            self.hang_up_line()  # as a host does whose worker has nothing more to say

    def _spawn(self, path: str, sys_path: list[str], max_message: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(BOUND)
        self.control = ours
        core = importlib.util.find_spec("snakepit._core")
        assert core is not None
        assert core.origin is not None
        command = [self._python, "-S", str(BRIDGE / "boot.py"), self.line, core.origin]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE)
        theirs.close()
        start = proto.Start(
            token=self._token,
            socket_path=path,
            sys_path=sys_path,
            bridge_path=str(BRIDGE),
            max_message=max_message,
        )
        socket.send_fds(ours, [b"S" + start.SerializeToString()], [self.page.fd])
        kind, rest, fds = self.heard()
        assert kind == b"W", (kind, rest)
        (self.worker_pid, _start_time) = struct.unpack("<IQ", rest)
        (self.worker,) = fds
        """Becomes readable when the worker ends."""

    # --- control socket ---------------------------------------------------------------------------

    def heard(self) -> tuple[bytes, bytes, list[int]]:
        """The next message of the control socket: kind, fields, descriptors."""
        raw, fds, _, _ = socket.recv_fds(self.control, 1 << 17, 4)
        return raw[:1], raw[1:], fds

    def cancel(self, call: int) -> None:
        self.control.send(struct.pack("<cQ", b"C", call))

    def grant(self, call: int, items: int, size: int) -> None:
        """The reader has taken so much since the call began."""
        self.control.send(struct.pack("<cQQQ", b"G", call, items, size))

    def probe(self, nonce: int) -> None:
        self.control.send(struct.pack("<cQ", b"P", nonce))

    def probed(self) -> int:
        kind, rest, _ = self.heard()
        assert kind == b"A", (kind, rest)
        (nonce,) = struct.unpack("<Q", rest)
        return int(nonce)

    # --- line -------------------------------------------------------------------------------------

    def handshake(self) -> Any:
        """Hello and Initialize; returns the answer to the latter."""
        hello = self.frame()
        assert hello.token == self._token
        assert (hello.protocol, hello.pid) == (1, self.worker_pid)
        assert hello.control
        assert hello.words == (self.line == "native")
        self.send(initialize=self._initialize)
        return self.frame()

    def send(self, **frame: Any) -> None:
        self._outgoing.put(proto.HostFrame(**frame))

    def frame(self) -> Any:
        """The next frame of the worker; None when its line has ended."""
        return self.frames.get(timeout=BOUND)

    def call(
        self, tool: str, /, *, raw: bytes | None = None, call: dict | None = None, **arguments: Any
    ) -> int:
        """Starts a call; ``call`` are more fields of its frame."""
        fields = {"call_id": next(self._ids), **(call or {})}
        encoded = _core.encode(arguments) if raw is None else raw
        self.send(start_call=proto.StartCall(tool=tool, arguments=encoded, **fields))
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

    def result(self, call: int) -> Any:
        """The decoded value of the next frame, which must be this call's result."""
        frame = self.frame()
        assert frame.call_id == call
        assert frame.WhichOneof("outcome") == "value", frame
        return _core.decode(frame.value)

    @staticmethod
    def decode(item: bytes) -> Any:
        return _core.decode(item)

    def failure(self, call: int) -> Any:
        frame = self.frame()
        assert frame.call_id == call
        assert frame.WhichOneof("outcome") == "failure", frame
        return frame.failure

    def chunk(self, call: int) -> list[Any]:
        """The items of the next frame, which must be a chunk of this call."""
        frame = self.frame()
        assert frame.call_id == call
        return [self.decode(item) for item in frame.items]

    # --- ends -------------------------------------------------------------------------------------

    def worker_ended(self, bound: float = BOUND) -> bool:
        readable, _, _ = select.select([self.worker], [], [], bound)
        return bool(readable)

    def hang_up_line(self) -> None:
        """Ends the line, and the line only."""
        self._outgoing.put(None)

    def close(self) -> None:
        """Ends the worker like a host that dies, and leaves no process."""
        self.control.close()
        self._outgoing.put(None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        ended = self.worker_ended()
        self.process.wait(BOUND)
        self._server.stop(None).wait(BOUND)
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.worker)
        self.page.close()
        assert ended, "the worker survived its host"
