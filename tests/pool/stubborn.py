"""Adapters that do not stop, crash, or leave processes behind. Imported by workers."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time

from snakepit_bridge import BaseAdapter, tool

from .adapters import touch, wait_for

FOREVER = 600


def eat() -> None:
    blocks = []
    while True:
        blocks.append(b"x" * (1 << 22))


class Stubborn(BaseAdapter):
    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def hold(self, started: str, release: str) -> str:
        touch(started)
        wait_for(release)
        return "released"

    @tool
    def hold_the_interpreter(self, started: str) -> None:
        """In C, as a library does that forgets others."""
        touch(started)
        ctypes.PyDLL(None).sleep(FOREVER)

    @tool
    def ignore_sigterm(self, started: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        touch(started)
        time.sleep(FOREVER)

    @tool
    def block_all_signals(self, started: str) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        touch(started)
        time.sleep(FOREVER)

    @tool
    def forget_the_fault_handler(self, started: str) -> None:
        for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
            faulthandler.unregister(number)
            signal.signal(number, signal.SIG_DFL)
        touch(started)
        time.sleep(FOREVER)

    @tool
    def crash(self) -> None:
        faulthandler._sigsegv()

    @tool
    def abort(self) -> None:
        os.abort()

    @tool
    def eat_memory(self) -> None:
        eat()

    @tool
    def have_a_child_eat(self) -> int:
        script = "blocks = []\nwhile True: blocks.append(b'x' * (1 << 22))"
        return subprocess.run([sys.executable, "-S", "-c", script]).returncode

    @tool
    def family(self, clean: bool = False) -> list[int]:
        """Starts children of three kinds; ``clean``: with an environment made from nothing."""
        environment = {"PATH": os.environ["PATH"]} if clean else None
        plain = subprocess.Popen(["sleep", str(FOREVER)], env=environment)
        session = subprocess.Popen(["sleep", str(FOREVER)], start_new_session=True, env=environment)
        script = (
            "import os, subprocess;"
            f"print(subprocess.Popen(['sleep', '{FOREVER}'], stdout=2).pid, flush=True);"
            "os._exit(0)"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", script],
            start_new_session=True,
            stdout=subprocess.PIPE,
            env=environment,
            check=True,
        )
        return [plain.pid, session.pid, int(done.stdout)]

    @tool
    def be_host_to(self, script: str, path: str) -> list[object]:
        """Starts a program with pools of its own: its number, and the first line that it says."""
        environment = {**os.environ, "PYTHONPATH": path}
        self._inner = subprocess.Popen(
            [sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._inner.stdout is not None
        return [self._inner.pid, self._inner.stdout.readline()]


class ChangesUser(Stubborn):
    """Which makes the kernel forget that it is to die with its shim."""

    def initialize(self) -> None:
        os.setuid(65534)


class EatsAtStart(Stubborn):
    """As long as there is a file."""

    def __init__(self, while_there_is: str) -> None:
        self._file = while_there_is

    def initialize(self) -> None:
        if os.path.exists(self._file):
            eat()
