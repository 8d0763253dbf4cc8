"""The shared page, seen from the host: one word a call that waits in its worker."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct

QUEUED, STARTED, REVOKED, DONE, CONDEMNED = 1, 2, 3, 4, 5
NAMES = {
    0: "free",
    QUEUED: "QUEUED",
    STARTED: "STARTED",
    REVOKED: "REVOKED",
    DONE: "DONE",
    CONDEMNED: "CONDEMNED",
}
_STATE_BITS = 3
_WORD_BYTES = 64
_BYTES = 4096


class Page:
    """A sealed page of 64 words; ``fd`` goes with the start message."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, _BYTES)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self._map = mmap.mmap(self.fd, _BYTES)

    def set(self, index: int, call: int, state: int) -> None:
        """Writes a word, as a host does before it sends the call's frame."""
        struct.pack_into("<Q", self._map, index * _WORD_BYTES, call << _STATE_BITS | state)

    def state(self, index: int) -> int:
        """The state in a word, whichever call it names."""
        word: int = struct.unpack_from("<Q", self._map, index * _WORD_BYTES)[0]
        return word & ((1 << _STATE_BITS) - 1)

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)
