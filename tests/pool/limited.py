"""An adapter that tries what its limits allow."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from typing import Any

from snakepit_bridge import BaseAdapter, tool

MIB = 1024 * 1024


class Limited(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []

    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def environment(self, names: list[str]) -> list[str | None]:
        return [os.environ.get(name) for name in names]

    @tool
    def childs_limits(self) -> str:
        """Of a program that it starts, as the kernel tells them."""
        return subprocess.check_output(["cat", "/proc/self/limits"], text=True)

    @tool
    def make(self, mib: int) -> int:
        return len(bytearray(mib * MIB))

    @tool
    def hold(self, mib: int) -> int:
        self.held.append(bytearray(mib * MIB))
        return mib

    @tool
    def open_all(self) -> int:
        """Opens files until the system refuses one; what was opened stays open."""
        while True:
            self.held.append(open(os.devnull))  # noqa: SIM115

    @tool
    def open_files(self) -> int:
        return len(self.held)

    @tool
    def let_go(self) -> None:
        self.held.clear()

    @tool
    def new_file(self, path: str) -> int:
        with open(path, "x"):
            return os.stat(path).st_mode & 0o777

    @tool
    def use_up_its_processor_time(self) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
        while True:
            pass

    @tool
    def crash(self) -> None:
        os.kill(os.getpid(), signal.SIGABRT)

    @tool
    def path(self) -> list[str]:
        return sys.path
