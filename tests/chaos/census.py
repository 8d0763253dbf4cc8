"""Processes, descriptors, threads and memory, from /proc."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


def stat(pid: int) -> tuple[str, int] | None:
    """State and parent of a process; ``None``: it is gone."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return told[0], int(told[1])


def parent(pid: int) -> int | None:
    """A process's parent; ``None``: it is gone."""
    found = stat(pid)
    return None if found is None else found[1]


def marked(mark: str) -> dict[int, str]:
    """The command lines of the live processes whose environment has ``mark``, without this one."""
    wanted = mark.encode()
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().split(b"\0")
                found[int(process.name)] = b" ".join(words).decode(errors="replace").strip()
        except OSError:  # It ended meanwhile.
            continue
    return found


def zombies() -> list[int]:
    """Children of this process that it has not reaped."""
    mine = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    return [pid for pid in mine if stat(pid) == ("Z", os.getpid())]


def strays(mark: str, roots: Iterable[int]) -> dict[int, str]:
    """The marked processes that are neither one of ``roots`` nor below one."""
    known = set(roots)
    found = marked(mark)

    def belongs(pid: int) -> bool:
        seen: int | None = pid
        while seen is not None and seen > 1:
            if seen in known:
                return True
            seen = parent(seen)
        return False

    return {pid: command for pid, command in found.items() if not belongs(pid)}


class Holdings(NamedTuple):
    """What this process holds."""

    descriptors: int
    threads: int
    memory: int
    """Bytes: anonymous memory that is resident."""

    @classmethod
    def now(cls) -> Holdings:
        """Count, after what is garbage has been given back."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        told = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        return cls(
            len(os.listdir("/proc/self/fd")) - 1,
            int(told["Threads"]),
            int(told["RssAnon"].split()[0]) * 1024,
        )
