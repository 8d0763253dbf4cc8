"""Finds processes by a mark in their environment, which every descendant inherits.

Linux only: it reads /proc. Elsewhere it finds nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

MARK = "DIGITS_DEMO"


def marked_processes(mark: str, patience: float) -> list[str]:
    """Command lines of the live processes with this mark; waits up to ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while (left := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _marked(mark: str) -> list[str]:
    wanted = f"{MARK}={mark}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().split(b"\0")
                found.append(f"{process.name}: {b' '.join(words).decode(errors='replace').strip()}")
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
    return found
