"""The worker's end of the control socket: what must get through beside the line.

One kind byte, then little-endian fields; ``crates/core/src/process/message.rs`` has the table.
Also the shim's end, which only ever writes.
"""

from __future__ import annotations

import posix
import sys
from _socket import MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET, socket

MAX_START = 128 * 1024
MAX_BOOT_ERROR = 32 * 1024
MAX_STACK = 64 * 1024
_LONGEST = 64
"""Bytes, of any message but the first."""
_RIGHTS_SPACE = 2048
"""More than the kernel can attach to one message, so that no descriptor is cut off and leaks."""


class Control:
    """A control socket that this process owns; one thread receives."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket(fileno=descriptor)

    def fileno(self) -> int:
        return self._socket.fileno()

    def forget(self) -> None:
        """Leave the descriptor to the end of the process."""
        self._socket.detach()

    def receive(self, most: int = _LONGEST) -> bytes:
        """The next message, cut to ``most`` bytes, or nothing when the host is gone.

        Descriptors are closed: the shared page is of no use to this end.
        """
        try:
            raw, rights, _, _ = self._socket.recvmsg(most, _RIGHTS_SPACE, MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b""
        for level, kind, data in rights:
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
                for at in range(0, len(data) - 3, 4):
                    posix.close(int.from_bytes(data[at : at + 4], sys.byteorder))
        return raw

    def await_start(self) -> bytes:
        while raw := self.receive(1 + MAX_START):
            if raw[:1] == b"S":  # nothing else means anything yet
                return raw[1:]
        raise ConnectionError("the host is gone: no start message came")

    def boot_error(self, text: str) -> None:
        cut = text.encode("utf-8", "replace")[:MAX_BOOT_ERROR].decode("utf-8", "ignore")
        try:
            self._socket.send(b"E" + cut.encode(), MSG_NOSIGNAL)
        except OSError:
            return  # nobody is left who could read it

    def answer(self, nonce: bytes) -> None:
        """Answer a probe; blocks while the host's end is full."""
        self._socket.send(b"A" + nonce, MSG_NOSIGNAL)

    def stack(self, text: bytes) -> None:
        """Say where the threads are; blocks while the host's end is full."""
        self._socket.send(b"T" + text, MSG_NOSIGNAL)

    def located(self, nonce: bytes, text: bytes) -> None:
        """Answer who asked where the threads are; blocks while the host's end is full."""
        self._socket.send(b"L" + nonce + text[: MAX_STACK - len(nonce)], MSG_NOSIGNAL)

    def worker_is(self, pid: int, start_time: int, pidfd: int | None) -> None:
        rights = pidfd.to_bytes(4, sys.byteorder) if pidfd is not None else b""
        self._tell(b"W" + pid.to_bytes(4, "little") + start_time.to_bytes(8, "little"), rights)

    def worker_exited(self, code: int, status: int) -> None:
        fields = (number.to_bytes(4, "little", signed=True) for number in (code, status))
        self._tell(b"X" + b"".join(fields))

    def _tell(self, raw: bytes, rights: bytes = b"") -> None:
        attached = [(SOL_SOCKET, SCM_RIGHTS, rights)] if rights else []
        try:
            self._socket.sendmsg([raw], attached, MSG_DONTWAIT | MSG_NOSIGNAL)
        except OSError:
            # The shim must never wait. Such a host learns the same from the shim's exit code.
            return
