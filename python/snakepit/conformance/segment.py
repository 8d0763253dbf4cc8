"""Memory that a host and its worker both map, seen from the host: a board, and segments."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import struct
from typing import Any

from .host import OutOfTurn, ScriptedHost, until
from .protocol import messages

BOARD = 16384
WORDS = 4096
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

_REFERENCE = 8
"""The extension in whose place a buffer is read; 0 is the type of a byte string."""


def reference(number: int) -> bytes:
    """What stands in a message for the byte string in its buffer ``number``."""
    return b"\xc7\x05" + struct.pack(">BIB", _REFERENCE, number, 0)


def _file(size: int, seals: int) -> int:
    fd = os.memfd_create("segment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Given:
    """What the host gives its worker to read; tells the board at once."""

    def __init__(self, host: ScriptedHost) -> None:
        self._host = host
        fd = _file(BOARD, SEALS)
        self._board = mmap.mmap(fd, BOARD)
        socket.send_fds(host.control, [b"b"], [fd])
        os.close(fd)

    def give(
        self,
        number: int,
        content: bytes,
        *,
        seals: int = SEALS,
        length: int | None = None,
        lost: bool = False,
    ) -> bool:
        """Tells of a new segment; whether the worker took it.

        Args:
            number: Its number.
            content: What is in it.
            seals: Of its file.
            length: What is said of it instead of its length.
            lost: Its descriptor does not arrive.
        """
        fd = _file(len(content), seals)
        with mmap.mmap(fd, len(content)) as memory:
            memory[:] = content
        said = struct.pack("<cIQ", b"m", number, len(content) if length is None else length)
        socket.send_fds(self._host.control, [said], [] if lost else [fd])
        os.close(fd)
        kind, rest, _ = self._host.heard()
        if kind not in (b"k", b"n") or rest != struct.pack("<I", number):
            raise OutOfTurn(f"k or n for segment {number}", kind + rest)
        return bool(kind == b"k")

    def counted(self, word: int, times: int) -> bool:
        """Whether the word comes to this number, and not to a larger one."""
        until(lambda: self.word(word) >= times, self._host.bound)
        return self.word(word) == times

    def word(self, word: int) -> int:
        value: int = struct.unpack_from("<I", self._board, word * 4)[0]
        return value


class Taken:
    """What the worker gives its host to read."""

    def __init__(self, host: ScriptedHost) -> None:
        self._host = host
        self._board: mmap.mmap | None = None
        self._segments: dict[int, mmap.mmap] = {}

    def answer(self, *, take: bool) -> int:
        """Waits for the next segment, and says that it is taken or refused; returns its number."""
        while True:
            kind, rest, fds = self._host.heard()
            try:
                if kind == b"b":
                    self._look(fds, BOARD, "the board")
                    self._board = mmap.mmap(fds[0], BOARD)
                elif kind == b"m" and len(rest) == 12:
                    return self._answer(rest, fds, take)
                else:
                    raise OutOfTurn("a segment of the worker (b, then m)", kind + rest)
            finally:
                for fd in fds:
                    os.close(fd)

    def _answer(self, rest: bytes, fds: list[int], take: bool) -> int:
        number, length = struct.unpack("<IQ", rest)
        if self._board is None:
            raise OutOfTurn("the board (b) before the first segment", b"m" + rest)
        if number == 0 or number in self._segments:
            raise OutOfTurn("a segment with a new number above 0", b"m" + rest)
        self._look(fds, length, f"segment {number}")
        if take:
            self._segments[number] = mmap.mmap(fds[0], length, prot=mmap.PROT_READ)
        self._host.control.send(struct.pack("<cI", b"k" if take else b"n", number))
        return int(number)

    @staticmethod
    def _look(fds: list[int], length: int, what: str) -> None:
        if len(fds) != 1:
            raise OutOfTurn(f"{what} with its descriptor", b"%d descriptors" % len(fds))
        size, seals = os.fstat(fds[0]).st_size, fcntl.fcntl(fds[0], fcntl.F_GET_SEALS)
        if seals & SEALS != SEALS:
            raise OutOfTurn(f"{what} sealed against shrinking and growing", b"seals %#x" % seals)
        if size != length:
            raise OutOfTurn(f"{what} of the told {length} bytes", b"%d bytes" % size)

    def read(self, told: Any) -> bytes:
        """The bytes of one of a Result's buffers."""
        if not told.segment:
            return bytes(told.inline)
        segment = self._segments.get(told.segment)
        if segment is None:
            raise OutOfTurn("a segment that the host said it took", told)
        if not 0 < told.length <= len(segment) - told.offset or told.word >= WORDS:
            raise OutOfTurn("a buffer inside of its segment", told)
        return bytes(segment[told.offset : told.offset + told.length])

    def give_back(self, told: Any) -> None:
        assert self._board is not None
        (count,) = struct.unpack_from("<I", self._board, told.word * 4)
        struct.pack_into("<I", self._board, told.word * 4, count + 1)


def shared_memory(threshold: int) -> dict[str, Any]:
    """What a host says in Initialize of its segments."""
    settings = messages().SharedMemory(max_bytes=1 << 28, threshold=threshold, wait_us=1_000_000)
    return {"shared_memory": settings}
