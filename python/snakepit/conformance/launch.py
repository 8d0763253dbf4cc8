"""How a worker under test is started: our own, or any program, behind a shim or bare.

Says what to run and spawns it; what is then said to it is the host's (``host``).
"""

from __future__ import annotations

import collections
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from snakepit import _core
from snakepit._interpreter import bridge_directory

from .page import Page

_MARK = "CONFORMANCE_WORKER"
"""In the environment of a worker and so of all that it starts: how leftovers are found."""

_STDERR_LINES = 20
_START_ROOM = 2 * 128 * 1024


class Launch(Protocol):
    """What to start."""

    @property
    def shim(self) -> bool:
        """A shim stands between: it tells of the worker, and ends its tree with the host."""

    @property
    def environment(self) -> dict[str, str]:
        """What is added to this process's environment."""

    def command(self) -> list[str]: ...

    def start_fields(self) -> dict[str, object]:
        """What this worker needs in its ``Start`` beside token, path and limit."""

    def adapter(self, *, on_loop: bool) -> dict[str, str] | None:
        """Fields of ``Initialize.adapter``; None: the worker has its tools itself.

        ``on_loop``: its tools are to run as tasks of one event loop.
        """


@dataclass(frozen=True)
class PythonWorker:
    """A worker of ours: an interpreter, an end of the line and an adapter."""

    target: str = os.path.join(os.path.dirname(__file__), "adapter.py") + ":Conformance"
    """The adapter, ``module:Class`` or ``/path/file.py:Class``.

    The conformance tools go by their file: an interpreter may have no ``snakepit`` to import.
    """
    coroutines: str = os.path.join(os.path.dirname(__file__), "adapter.py") + ":Coroutines"
    """The adapter where its tools run on one event loop."""
    line: str = "native"
    python: str = sys.executable
    sys_path: Sequence[str] = ()
    """The worker's ``sys.path``; empty: its interpreter's own."""
    environment: dict[str, str] = field(default_factory=dict)
    shim: bool = True

    def command(self) -> list[str]:
        boot = os.path.join(bridge_directory(), "boot.py")
        return [self.python, "-S", boot, self.line, _core.__file__]

    def start_fields(self) -> dict[str, object]:
        return {"sys_path": list(self.sys_path), "bridge_path": bridge_directory()}

    def adapter(self, *, on_loop: bool) -> dict[str, str]:
        place, _, qualname = (self.coroutines if on_loop else self.target).rpartition(":")
        kind = "script" if os.path.isabs(place) else "module"
        return {kind: place, "qualname": qualname}


@dataclass(frozen=True)
class ProgramWorker:
    """Any program that speaks the protocol, started as a pool does it, or bare.

    Args:
        words: The program, an absolute path, and its arguments.
        shim: False starts the program itself, with nothing between it and the host.
    """

    words: Sequence[str]
    shim: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        if not self.shim:
            return list(self.words)
        boot = os.path.join(bridge_directory(), "boot.py")
        return [sys.executable, "-S", boot, "native", _core.__file__, *self.words]

    def start_fields(self) -> dict[str, object]:
        return {}

    def adapter(self, *, on_loop: bool) -> None:
        return None


class BootError(Exception):
    """The worker said over its control socket why it cannot be one."""


class NoBench(Exception):  # noqa: N818
    """This machine did not let the kit start a worker: that is no fault of the worker's."""


class Process:
    """A worker's process, its control socket and its page.

    Args:
        launch: What to start.
        start: The encoded ``snakepit.v1.Start``.
        bound: Seconds until the process must have told who it is.

    Raises:
        BootError: The worker said why it cannot be one.
        ConnectionError: A bare worker had ended before it could be told anything.
        NoBench: There is no process, or its shim did not say who it is in time.
    """

    def __init__(self, launch: Launch, start: bytes, bound: float) -> None:
        try:
            self._start(launch, start, bound)
        except ConnectionError:
            raise
        except TimeoutError as error:
            raise NoBench(f"no worker could be started within {bound:g} s") from error
        except OSError as error:
            raise NoBench(f"no worker could be started: {error}") from error

    def _start(self, launch: Launch, start: bytes, bound: float) -> None:
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        self._shim = launch.shim
        self.page = Page()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _START_ROOM)
        ours.settimeout(bound)
        name, _, value = self._mark.partition("=")
        try:
            self.popen = subprocess.Popen(
                launch.command(),
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **launch.environment, name: value},
            )
        except OSError:
            ours.close()
            self.page.close()
            raise
        finally:
            theirs.close()
        assert self.popen.stdout is not None
        self._said: collections.deque[str] = collections.deque(maxlen=_STDERR_LINES)
        self._reader = threading.Thread(target=self._read, args=(self.popen.stdout,), daemon=True)
        self._reader.start()
        self.pid = 0
        self._pidfd = -1
        try:
            socket.send_fds(ours, [b"S" + start], [self.page.fd])
            self._identify()
        except BaseException:
            self.close(bound)
            raise

    def _identify(self) -> None:
        if not self._shim:
            self.pid, self._pidfd = self.popen.pid, os.pidfd_open(self.popen.pid)
            return
        kind, rest, fds = self.heard()
        if kind == b"E":
            raise BootError(rest.decode(errors="replace"))
        if kind != b"W" or len(fds) != 1:
            raise BootError(f"the shim said {kind + rest!r} instead of who the worker is")
        (self.pid, _start_time), (self._pidfd,) = struct.unpack("<IQ", rest), fds

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._said.append(line.decode(errors="replace").rstrip())

    def heard(self) -> tuple[bytes, bytes, list[int]]:
        """The next message of the control socket: kind, fields, descriptors."""
        raw, fds, _, _ = socket.recv_fds(self.control, 1 << 17, 4)
        return raw[:1], raw[1:], fds

    def last_lines(self) -> str:
        """What the worker printed last, its standard error included; whole once it is closed."""
        return "\n".join(self._said)

    def ended(self, bound: float) -> bool:
        """Waits until the worker itself has ended; its shim may be there a moment longer."""
        readable, _, _ = select.select([self._pidfd], [], [], bound)
        return bool(readable)

    def exit_code(self, bound: float) -> int:
        """The worker's exit code, which its shim mirrors; negative: the signal that ended it."""
        code: int = self.popen.wait(bound)
        return code

    def stop_shim(self) -> None:
        """Has the shim end nothing: what the worker does now, it does itself."""
        if self._shim:
            self.popen.send_signal(signal.SIGSTOP)

    def left(self) -> list[str]:
        """Every process of this worker that is there, as text."""
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or entry.name == str(os.getpid()):
                continue
            try:
                with open(f"/proc/{entry.name}/environ", "rb") as file:
                    if self._mark.encode() not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            found.append(f"{entry.name} {command}")
        return found

    def close(self, bound: float) -> bool:
        """Ends the worker like a host that dies. False: it had to be killed after ``bound``."""
        self.control.close()
        self.popen.send_signal(signal.SIGCONT)
        in_time = self._pidfd < 0 or self.ended(bound)
        if not in_time:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        elif self._pidfd < 0:
            self.popen.kill()
        try:
            self.popen.wait(bound)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        # A process that it left behind may hold its output open.
        self._reader.join(1)
        if not self._reader.is_alive() and self.popen.stdout is not None:
            self.popen.stdout.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self.page.close()
        return in_time
