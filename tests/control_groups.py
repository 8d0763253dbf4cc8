"""The control groups of workers that are there though nothing is in them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def left() -> list[str]:
    """Empty groups named ``snakepit-*`` beside this process's own, in version 2.

    One that has processes is somebody's who runs now, in this host or in another one; an empty one
    is being made or ended, or was left. So whoever finds one looks again before he complains.
    """
    own = _own()
    found = []
    for group in sorted(own.glob("snakepit-*")) if own is not None else []:
        with contextlib.suppress(OSError):  # It is gone meanwhile.
            if "populated 0" in (group / "cgroup.events").read_text().splitlines():
                found.append(group.name)
    return found


def _own() -> Path | None:
    """Where this process's group is; ``None``: it cannot be seen."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    group = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if group is None:
        return None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, kind = line.partition(" - ")
        root, point = mount.split()[3:5]
        if kind.startswith("cgroup2 ") and os.path.commonpath([root, group]) == root:
            return Path(point, os.path.relpath(group, root))
    return None
