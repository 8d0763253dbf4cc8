"""What ``/proc`` tells of processes: sockets, command lines, what they were started with."""

from __future__ import annotations

import os
import re

_LISTENING_TCP = "0A"


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def started_with(pid: int) -> tuple[bytes, bytes]:
    """Its command line, and the environment that it was started with."""
    parts = []
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            parts.append(file.read())
    return parts[0], parts[1]


def sockets(pid: int) -> set[str]:
    """Inodes of the sockets that it has open."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:  # Closed meanwhile.
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            found.add(match[1])
    return found


def listening_on_unix(pid: int) -> list[str]:
    """Where it listens: paths, and abstract names with an @ in front."""
    own = sockets(pid)
    found = []
    with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            # Num RefCount Protocol Flags Type St Inode Path
            fields = line.rstrip("\n").split(None, 7)
            accepts = len(fields) == 8 and fields[3] == "00010000"
            if accepts and fields[6] in own:
                found.append(fields[7])
    return found


def listening_on_tcp(pid: int) -> list[str]:
    """Ports at which it listens, as the kernel writes them."""
    own = sockets(pid)
    found = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}") as table:
                lines = [line.split() for line in table]
        except OSError:  # A kernel without it.
            continue
        found += [row[1] for row in lines if row[3] == _LISTENING_TCP and row[9] in own]
    return found
