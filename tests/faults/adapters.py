"""The adapters that faults are injected into. Imported by workers, so it imports little."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from snakepit_bridge import BaseAdapter, tool

FOREVER = 600


class Faulty(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.hoard: list[bytes] = []
        self.notes: dict[str | None, int] = {}

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def work(self, seconds: float) -> int:
        """Work that needs no processor, so that a small machine can carry many."""
        time.sleep(seconds)
        return os.getpid()

    @tool
    def wait(self, started: str, go: str) -> int:
        """Until somebody lets it go on."""
        touch(started)
        while not os.path.exists(go):
            time.sleep(0.001)
        return os.getpid()

    @tool
    def note(self) -> list[int]:
        """How often this session was here before, and where it was."""
        key = self.session_context.session_id
        self.notes[key] = self.notes.get(key, 0) + 1
        return [self.notes[key] - 1, os.getpid()]

    # --- what does not stop ----------------------------------------------------------------------

    @tool
    def hold(self, seconds: float = FOREVER, started: str | None = None) -> None:
        touch(started)
        time.sleep(seconds)

    @tool
    def burn(self, started: str | None = None) -> None:
        """Busy, in Python."""
        touch(started)
        while True:
            pass

    @tool
    def hold_the_interpreter(self, seconds: float = FOREVER, started: str | None = None) -> int:
        """In C, without letting go of the interpreter's lock."""
        touch(started)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ctypes.PyDLL(None).usleep(min(999_999, int(left * 1e6) + 1))
        return os.getpid()

    @tool
    def ignore_sigterm(self, started: str | None = None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        touch(started)
        time.sleep(FOREVER)

    @tool
    def block_all_signals(self, started: str | None = None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        touch(started)
        time.sleep(FOREVER)

    # --- what crashes ----------------------------------------------------------------------------

    @tool
    def read_address_zero(self) -> None:
        ctypes.string_at(0)

    @tool
    def eat_memory(self) -> None:
        while True:
            self.hoard.append(b"x" * (1 << 22))

    @tool
    def allocate_above_limit(self) -> None:
        """Within a limit of the address space, which Python notices."""
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 32, hard))
        try:
            bytearray(1 << 33)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    @tool
    def fill(self, mebibytes: int) -> None:
        """Holds so much memory from now on."""
        self.hoard = [b"x" * (1 << 20) for _ in range(mebibytes)]

    @tool
    def leak(self, size: int, pause: float) -> int:
        self.hoard.append(b"x" * size)
        time.sleep(pause)
        return os.getpid()

    # --- what starts others ----------------------------------------------------------------------

    @tool
    def family(self) -> list[int]:
        """A child, one in a session of its own, and one whose parent is gone."""
        plain = subprocess.Popen(["sleep", str(FOREVER)])
        session = subprocess.Popen(["sleep", str(FOREVER)], start_new_session=True)
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if (orphan := os.fork()) == 0:
                os.execvp("sleep", ["sleep", str(FOREVER)])
            os.write(writer, str(orphan).encode())
            os._exit(0)
        os.wait3(0)
        orphan = int(os.read(reader, 20))
        os.close(reader)
        os.close(writer)
        return [plain.pid, session.pid, orphan]

    # --- streams ---------------------------------------------------------------------------------

    @tool
    def count(self, progress: str, ended: str) -> Iterator[int]:
        """Without end; writes down how far it has come, and that it was closed."""
        number = 0
        with open(progress, "wb", buffering=0) as file:
            try:
                while True:
                    os.pwrite(file.fileno(), b"%10d" % number, 0)
                    yield number
                    number += 1
            finally:
                touch(ended)


class FailsToStart(BaseAdapter):
    """Until a file is there."""

    def __init__(self, permit: str) -> None:
        super().__init__()
        self.permit = permit

    def initialize(self) -> None:
        if not os.path.exists(self.permit):
            raise ImportError("no module named model_of_mine")

    @tool
    def pid(self) -> int:
        return os.getpid()


class WarmsUp(BaseAdapter):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.warm = False

    def initialize(self) -> None:
        time.sleep(self.seconds)
        self.warm = True

    @tool
    def is_warm(self) -> bool:
        return self.warm


class Failing(BaseAdapter):
    """Dies in so many of a hundred attempts as a file says; another one has a byte for each."""

    def __init__(self, part: str, attempts: str) -> None:
        super().__init__()
        self.part = part
        self.attempts = attempts

    @tool
    def work(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    def attempt(self) -> None:
        with open(self.attempts, "ab") as file:
            file.write(b".")
            number = file.tell()
        with open(self.part) as file:
            part = int(file.read())
        if number * part // 100 != (number - 1) * part // 100:
            os._exit(3)


def touch(path: str | None) -> Any:
    if path is not None:
        with open(path, "x"):
            pass
