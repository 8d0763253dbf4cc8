"""Running hosts, as their operator sockets tell of them: found, asked, judged. Starts nothing.

A host has a socket in its run folder while it has pools; see ``docs/operating.md``. Trusted are
hosts of this user alone: what another one's would say is not even read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
import struct
import time
from dataclasses import dataclass
from typing import Any

VERSION = 1
_SOCKET = "operator.sock"
_PREFIX = "snakepit-"
_LONGEST = 64 * 1024 * 1024
"""Bytes of an answer: 4096 workers, each with 4096 calls of long names, have fewer."""
_PATIENCE = 10.0
"""Seconds; a host tells of 4096 workers in less, and of a stack in three."""


class ControlError(Exception):
    """A host could not be asked, or would not do it.

    Args:
        kind: One word: ``lost`` (nobody listens any more), ``silent`` (no answer in time),
            ``garbled`` (no answer of ours), ``user`` (another user's), or what the host said; see
            ``docs/operating.md``.
        message: One line for people.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True)
class HostSocket:
    """The operator socket of a host that lives, or did."""

    path: str
    pid: int | None
    """As its ledger says; ``None``: that could not be read."""

    @property
    def name(self) -> str:
        """In words."""
        return f"host {self.pid}" if self.pid is not None else f"the host at {self.path}"

    def ask(self, verb: str, *, patience: float = _PATIENCE, **fields: Any) -> dict[str, Any]:
        """Ask for something; the object that the host answers.

        Raises:
            ControlError: It did not, or refused.
        """
        request = {"version": VERSION, "verb": verb, **fields}
        line = json.dumps({k: v for k, v in request.items() if v is not None}) + "\n"
        until = time.monotonic() + patience
        while True:
            try:
                answer = self._exchange(line.encode(), until)
                break
            except ControlError as error:
                # So many others ask right now; each is served in milliseconds.
                if error.kind != "busy" or time.monotonic() >= until:
                    raise
                time.sleep(0.05)
        found = answer.get({"recycle": "recycled"}.get(verb, verb))
        if not isinstance(found, dict):
            raise ControlError("garbled", f"{self.name} answered something else than was asked")
        return found

    def _exchange(self, line: bytes, until: float) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                raw = self._heard(connection, line, until)
            except TimeoutError:
                raise ControlError(
                    "silent", f"{self.name} does not answer: it is stopped, or at its end"
                ) from None
            except OSError as error:
                raise ControlError("lost", f"{self.name} is gone: {error.strerror}") from None
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ControlError("garbled", f"{self.name} answered no line of JSON")
        if isinstance(refusal := answer.get("error"), dict):
            raise ControlError(str(refusal.get("kind")), printable(str(refusal.get("message"))))
        return answer

    def _heard(self, connection: socket.socket, line: bytes, until: float) -> bytes:
        connection.settimeout(max(0.01, until - time.monotonic()))
        connection.connect(self.path)
        uid = _peer(connection)
        if uid != os.geteuid():
            raise ControlError("user", f"{self.path} is served by user {uid}; not asked")
        with contextlib.suppress(BrokenPipeError):  # It has said why already.
            connection.sendall(line)
        said = bytearray()
        while not said.endswith(b"\n"):
            if len(said) > _LONGEST:
                raise ControlError("garbled", f"{self.name} does not stop to answer")
            connection.settimeout(max(0.01, until - time.monotonic()))
            part = connection.recv(1 << 16)
            if not part:
                break
            said += part
        if not said:
            raise ControlError("lost", f"{self.name} ended before it answered")
        return bytes(said)


@dataclass(frozen=True)
class Found:
    """What there is to ask."""

    sockets: list[HostSocket]
    """Of hosts that live."""
    stale: list[HostSocket]
    """Of hosts that were killed."""
    others: list[int]
    """Users who have run folders that this one may not look into."""


def find() -> Found:
    """Look for the hosts of this user, where hosts have their run folders."""
    sockets, stale, others = list[HostSocket](), list[HostSocket](), set[int]()
    for base in _bases():
        try:
            names = sorted(os.listdir(base))
        except OSError:
            continue
        for name in names:
            folder = os.path.join(base, name)
            try:
                told = os.lstat(folder)
            except OSError:
                continue
            if not name.startswith(_PREFIX) or not stat.S_ISDIR(told.st_mode):
                continue
            if told.st_uid != os.geteuid():
                others.add(told.st_uid)
                continue
            path = os.path.join(folder, _SOCKET)
            if not _is_socket(path):
                continue
            try:
                pid, lives = _host_of(os.path.join(folder, "ledger"))
            except FileNotFoundError:
                continue  # It is on its way out: the ledger goes last.
            (sockets if lives else stale).append(HostSocket(path, pid))
    sockets.sort(key=lambda it: it.pid or 0)
    return Found(sockets, stale, sorted(others))


def printable(text: str) -> str:
    """``text`` without what a terminal would obey."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)


def _bases() -> list[str]:
    """As ``process/cleanup.rs`` has them."""
    told = [
        os.environ.get("XDG_RUNTIME_DIR"),
        os.environ.get("TMPDIR"),
        "/tmp",
        f"/run/user/{os.geteuid()}",
    ]
    seen = dict[str, None]()
    for base in told:
        if base and os.path.isabs(base):
            seen.setdefault(os.path.realpath(base))
    return list(seen)


def _is_socket(path: str) -> bool:
    try:
        told = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISSOCK(told.st_mode) and told.st_uid == os.geteuid()


def _host_of(ledger: str) -> tuple[int | None, bool]:
    """The process that a ledger is of, and whether it lives: then it has the file locked."""
    try:
        descriptor = os.open(ledger, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return None, True  # Whether somebody listens will tell.
    try:
        head = os.read(descriptor, 256).split(b"\n")[0].split()
        pid = int(head[2]) if len(head) > 2 and head[0] == b"snakepit-ledger" else None
        try:
            # Shared and let go at once: a cleanup meanwhile finds it busy, and comes again.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return pid, True
        # A file system without locks lets everybody have one.
        return pid, pid is not None and _runs(pid, head[3])
    except (OSError, ValueError):
        return None, True
    finally:
        os.close(descriptor)


def _runs(pid: int, start_time: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] != b"Z" and fields[19] == start_time


def _peer(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", raw)[1]  # type: ignore[no-any-return]
