"""Processes and their memory, from /proc."""

from __future__ import annotations

from pathlib import Path


def descendants(root: int) -> dict[int, int]:
    """Every live process below ``root``, with its parent."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            parents[int(process.name)] = int(parent)
    found: dict[int, int] = {}
    grown = True
    while grown:
        more = {
            child: parent
            for child, parent in parents.items()
            if child not in found and (parent == root or parent in found)
        }
        found.update(more)
        grown = bool(more)
    return found


def pss(pid: int) -> float:
    """Proportional set size in MiB: shared pages count by the share of this process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss line for process {pid}")
