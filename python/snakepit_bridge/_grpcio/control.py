"""Serves the control socket: what must get through while the main thread runs a tool.

A thread of Python, so to answer a probe is to prove that the interpreter makes progress. Cancel
callbacks run here as well: the SDK's only post to a loop.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from typing import TYPE_CHECKING

from snakepit_bridge._threads import where

from .process.control import MAX_STACK
from .process.sweep import end_in_place_of_shim, token
from .process.watch import ORPHANED

if TYPE_CHECKING:
    from .process.control import Control
    from .running import Call, Running

_GRACE = 1.0
"""Seconds between the end of the host and ours: the shim, or ``serve`` returning, is usually
quicker."""


class Watcher:
    """The thread; it lives as long as the process."""

    def __init__(self, control: Control, running: Running) -> None:
        self._control = control
        self._running = running
        self._leaving = False
        self._shim = os.getppid()
        threading.Thread(target=self._run, name="snakepit-watch", daemon=True).start()

    def leave(self) -> None:
        """Python ends here; from now on the shim alone looks after this process."""
        self._leaving = True
        self._control.forget()

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            # For whatever reason: without this thread nothing can be cancelled and nobody notices
            # the end of the host.
            if not self._leaving:
                end_in_place_of_shim(self._shim, token(), _GRACE)
                os._exit(ORPHANED)

    def _watch(self) -> None:
        while raw := self._control.receive():
            kind, fields = raw[:1], raw[1:]
            # A newer host may say what we do not know.
            if kind == b"C" and len(fields) == 8:
                call = self._running.cancel(int.from_bytes(fields, "little"))
                if call is not None:
                    _call_back(call)
            elif kind == b"G" and len(fields) == 24:
                numbers = [int.from_bytes(fields[at : at + 8], "little") for at in (0, 8, 16)]
                self._running.grant(*numbers)
            elif kind == b"P" and len(fields) == 8:
                self._control.answer(fields)
            elif kind == b"T":
                self._control.stack(_stacks())
            elif kind == b"L" and len(fields) == 9 and fields[8] == 0:
                # The other way is for an interpreter that is held, and then this thread is, too.
                self._control.located(fields[:8], where().encode("utf-8", "replace"))
        for call in self._running.cancel_all():
            _call_back(call)


def _call_back(call: Call) -> None:
    try:
        call.call_back()
    except BaseException:
        sys.excepthook(*sys.exc_info())


def _stacks() -> bytes:
    """Where all threads are. A tool that holds the interpreter in C keeps this from being told."""
    with open(os.memfd_create("snakepit-stack"), "w+b", buffering=0) as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read(MAX_STACK)
