"""The control groups that a test's workers have, apart from everybody else's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_apart: Path | None = None
"""The group of this process, where it has one of its own."""


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Gives this process, and what it starts, a group of its own, where that can be done: groups of
    workers are made in it, so whatever is in it is ours. Elsewhere nothing is counted."""
    global _apart
    before = None if _apart is not None else _of_process()
    group = before and before / f"tests-of-snakepit-{os.getpid()}"
    if before is None or group is None or not _moved_into(group):
        yield
        return
    _apart = group
    try:
        yield
    finally:
        _apart = None
        (before / "cgroup.procs").write_text(str(os.getpid()))
        with contextlib.suppress(OSError):  # What is left in it has been told.
            group.rmdir()


def of_workers() -> list[str]:
    """The groups of workers that there are now."""
    return sorted(group.name for group in _apart.glob("snakepit-*")) if _apart else []


def _moved_into(group: Path) -> bool:
    try:
        group.mkdir()
        with contextlib.suppress(OSError):  # Under systemd only what is given away is divided.
            os.setxattr(group, "user.delegate", b"1")
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        return False
    return True


def _of_process() -> Path | None:
    """The group of this process, of version 2; ``None``: it cannot be seen."""
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
