"""Processes of the shim's tests: started with a token, and none of them is left."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit_bridge

PROCESS = Path(snakepit_bridge.__file__).parent / "_grpcio" / "process"
PARTS = Path(__file__).with_name("parts.py")
BOUND = 30.0
"""Seconds that anything may take on a slow machine; a test that waits so long fails."""

Death = tuple[int, int]
"""``si_code`` and ``si_status``."""


class Run:
    """One test's processes, known by a token in their environment."""

    def __init__(self) -> None:
        self._token = uuid.uuid4().hex
        self.started: list[subprocess.Popen[str]] = []
        self.workers: list[Worker] = []

    def spawn(self, role: str, stdin: Any = subprocess.DEVNULL, **environment: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-S", str(PARTS), role],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"SNAKES": self._token, "SNAKES_PROCESS": str(PROCESS), **environment},
        )
        self.started.append(process)
        return process

    def alive(self) -> set[int]:
        mark = f"SNAKES={self._token}".encode()
        found = set()
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and mark in (process / "environ").read_bytes():
                    found.add(int(process.name))
            except OSError:
                continue
        return found

    def until(self, condition: Callable[[set[int]], bool], what: str) -> None:
        end = time.monotonic() + BOUND
        while not condition(alive := self.alive()):
            assert time.monotonic() < end, f"not in time: {what}; alive: {alive}"
            time.sleep(0.002)

    def worker(self, text: bytes = b"", **environment: str) -> Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(BOUND)
        process = self.spawn("worker", theirs, **environment)
        theirs.close()
        self.workers.append(Worker(process, ours, text))
        return self.workers[-1]


class Worker:
    """A worker as its host sees it."""

    def __init__(self, shim: subprocess.Popen[str], control: socket.socket, text: bytes) -> None:
        self.shim = shim
        self.control = control
        raw, fds, _, _ = socket.recv_fds(control, 1 << 16, 4)
        assert raw[:1] == b"W", raw
        self.pid, self.start_time = struct.unpack("<IQ", raw[1:])
        (self.pidfd,) = fds
        control.send(b"S" + text)

    def ready(self) -> None:
        assert self.control.recv(1 << 16) == f"Eready {self.shim.pid}".encode()

    def say(self, kind: bytes, number: int = 0) -> None:
        self.control.send(struct.pack("<cQ", kind, number))

    def death(self) -> Death:
        """How the worker ended, as the shim says."""
        raw = self.control.recv(1 << 16)
        assert raw[:1] == b"X", raw
        code, status = struct.unpack("<ii", raw[1:])
        return code, status

    def ended(self) -> bool:
        return bool(select.select([self.pidfd], [], [], BOUND)[0])


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run()
    yield run
    for worker in run.workers:
        worker.control.close()
        os.close(worker.pidfd)
        # Killed, it could not end what is below it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.shim.wait(BOUND)
    for process in run.started:
        if process.poll() is None:
            process.kill()
    try:
        run.until(lambda alive: not alive, "nothing is left")
    finally:
        for pid in run.alive():
            os.kill(pid, signal.SIGKILL)
        # Not before: what is left holds its pipes.
        for process in run.started:
            process.communicate()


@pytest.fixture
def worker(run: Run) -> Worker:
    """A ready worker without a family."""
    worker = run.worker()
    worker.ready()
    return worker
