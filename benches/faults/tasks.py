"""What runs in the workers of every contender. Each says first who runs it, in a file."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONG = 60.0
LEAK = 16 << 20
_kept: list[bytes] = []


class UnspeakableError(Exception):
    """Pickles, and cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def say(path: str | None) -> None:
    """Write this process's number, so that whoever waits for the file can read it."""
    if path:
        draft = Path(f"{path}.{os.getpid()}")
        draft.write_text(str(os.getpid()))
        draft.rename(path)


def hold(path: str | None) -> int:
    say(path)
    time.sleep(LONG)
    return os.getpid()


def brief(path: str | None) -> int:
    say(path)
    time.sleep(1.0)
    return os.getpid()


def quick(path: str | None) -> int:
    say(path)
    return os.getpid()


def segfault(path: str | None) -> None:
    say(path)
    time.sleep(0.3)  # So that others are under way.
    faulthandler._sigsegv()  # type: ignore[attr-defined]


def leave(path: str | None) -> None:
    say(path)
    time.sleep(0.3)
    os._exit(3)


def hold_gil(path: str | None) -> None:
    say(path)
    ctypes.PyDLL(None).sleep(int(LONG))


def ignore_sigterm(path: str | None) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(path)
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.1)


def leak(path: str | None) -> int:
    _kept.append(b"x" * LEAK)
    time.sleep(0.1)  # Memory is looked at now and then.
    return os.getpid()


def unpicklable(path: str | None) -> Any:
    return threading.Lock()


def unspeakable(path: str | None) -> None:
    raise UnspeakableError("one", "two")


def family(path: str | None) -> None:
    """Starts a child of each kind, and then holds the interpreter's lock."""
    sleep = ["sleep", "61"]
    subprocess.Popen(["env", "FAULTS_KIND=plain", *sleep])
    subprocess.Popen(["env", "FAULTS_KIND=session", *sleep], start_new_session=True)
    script = "FAULTS_KIND=double_fork sleep 61 >/dev/null 2>&1 &"
    subprocess.run(["sh", "-c", script], start_new_session=True, check=True)
    hold_gil(path)


def broken_initializer() -> None:
    raise RuntimeError("no model here")


TASKS: dict[str, Callable[[str | None], Any]] = {
    task.__name__: task
    for task in (
        hold,
        brief,
        quick,
        segfault,
        leave,
        hold_gil,
        ignore_sigterm,
        leak,
        unpicklable,
        unspeakable,
        family,
    )
}
