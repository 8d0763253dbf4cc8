"""The segments of ``broken_worker.py``: those of the host, which it reads, and one of its own.

One of its own, into which answers go one behind the other: nothing in it is used twice, so what the
host counts back need not be looked at.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

FAULTS = """
    counts-twice gone-kind insists no-inline reads-on refuses-calls reuses-regions takes-unsealed
"""
"""Each breaks the rule of one check; ``segments`` breaks none."""

BOARD, WORDS = 16384, 4096
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
OWN_SIZE = 4 << 20
ANSWER_LIMIT = 10.0
"""Seconds after which the host has not taken a segment."""


class Refused(Exception):
    """A buffer lies in a segment that was not taken."""


class Outside(Exception):
    """A buffer is not inside of its segment."""


class Segments:
    """What worker and host say to each other of segments, on the control socket.

    Args:
        fault: What it does wrong, if that is of this file.
        hears: Gets the messages that are not about segments: kind, and the rest.
    """

    def __init__(self, fault: str, hears: Callable[[bytes, bytes], None]) -> None:
        self.fault = fault
        self._hears = hears
        self._control = socket.socket(fileno=os.dup(0))
        self._board: mmap.mmap | None = None
        self._taken: dict[int, mmap.mmap | None] = {}
        self._own: mmap.mmap | None = None
        self._used = 0
        self._answered = threading.Event()
        self._is_taken = False
        self._parked: dict[int, tuple[Any, list[bytes]]] = {}

    def listen(self) -> None:
        """Hears the host until it hangs up."""
        while True:
            message, fds, _, _ = socket.recv_fds(self._control, 64, 4)
            if not message:
                return
            kind, rest = message[:1], message[1:]
            if kind == b"b":
                self._board = mmap.mmap(fds[0], BOARD)
            elif kind == b"m":
                number, length = struct.unpack("<IQ", rest)
                answer = b"k" if self._take(number, length, fds) else b"n"
                self._control.send(struct.pack("<cI", answer, number))
            elif kind in (b"k", b"n"):
                self._is_taken = kind == b"k"
                self._answered.set()
            else:
                self._hears(kind, rest)
            for fd in fds:
                os.close(fd)

    def _take(self, number: int, length: int, fds: list[int]) -> bool:
        if number in self._taken:
            return False
        self._taken[number] = None
        if not fds or os.fstat(fds[0]).st_size != length:
            return False
        is_sealed = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) & SEALS == SEALS
        if not is_sealed and self.fault != "takes-unsealed":
            return False
        self._taken[number] = mmap.mmap(fds[0], length, prot=mmap.PROT_READ)
        return True

    # --- calls ------------------------------------------------------------------------------------

    def read(self, buffers: Any) -> list[bytes]:
        """What a frame names, counted back at once.

        Raises:
            Refused: Something of it was not taken; nothing is counted back.
            Outside: Something of it is nowhere.
        """
        found = [self._find(buffer) for buffer in buffers]
        for buffer in buffers:
            if buffer.segment and self._board is not None:
                (count,) = struct.unpack_from("<I", self._board, buffer.word * 4)
                count += 2 if self.fault == "counts-twice" else 1
                struct.pack_into("<I", self._board, buffer.word * 4, count)
        return found

    def _find(self, buffer: Any) -> bytes:
        if not buffer.segment:
            if self.fault == "no-inline":
                raise Outside("no segment")
            return bytes(buffer.inline)
        segment = self._taken.get(buffer.segment)
        if segment is None:
            raise Refused
        end = buffer.offset + buffer.length
        is_inside = buffer.length > 0 and end <= len(segment) and buffer.word < WORDS
        if not is_inside and self.fault != "reads-on":
            raise Outside(f"{buffer.length} bytes at {buffer.offset}")
        return segment[buffer.offset : end]

    def park(self, call: Any) -> None:
        """The bytes of this call will come."""
        self._parked[call.id] = (call, [b"" for _ in call.start.buffers])

    def more(self, part: Any) -> Any:
        """A part of them came; the call, if that was the last or none will come."""
        call, parts = self._parked[part.call_id]
        if part.gone:
            call.cancel()
        else:
            parts[part.index] += part.bytes
            whole = [buffer.length for buffer in call.start.buffers]
            if [*map(len, parts)] != whole:
                return None
        call.came = parts
        return self._parked.pop(part.call_id)[0]

    # --- answers ----------------------------------------------------------------------------------

    def tell(self, content: bytes) -> dict[str, Any]:
        """The fields of a Buffer with this content."""
        if self._own is None:
            self._offer()
        assert self._own is not None
        offset = 0 if self.fault == "reuses-regions" else self._used
        fits = offset + len(content) <= OWN_SIZE
        if not fits or not (self._is_taken or self.fault == "insists"):
            return {"inline": content}
        self._own[offset : offset + len(content)] = content
        self._used += len(content)
        return {"segment": 1, "offset": offset, "length": len(content), "word": 0}

    def _offer(self) -> None:
        board, own = (os.memfd_create("own", os.MFD_ALLOW_SEALING) for _ in range(2))
        for fd, size in ((board, BOARD), (own, OWN_SIZE)):
            os.ftruncate(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        self._own = mmap.mmap(own, OWN_SIZE)
        socket.send_fds(self._control, [b"b"], [board])
        socket.send_fds(self._control, [struct.pack("<cIQ", b"m", 1, OWN_SIZE)], [own])
        self._answered.wait(ANSWER_LIMIT)
