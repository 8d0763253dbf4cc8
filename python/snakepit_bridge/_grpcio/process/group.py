"""The worker's control group, where its host has made one; ``process/group.rs`` of the core says
why. Beside the walk of the tree, never instead of it.
"""

from __future__ import annotations

import posix
from time import monotonic, sleep

from .tree import listing

_LIMIT = 3.0
"""Seconds; freeing memory takes some 0.07 a GiB."""
_PAUSE = 0.001


class Group:
    """One worker and all that it started, without its shim."""

    def __init__(self, path: str) -> None:
        self.path = path

    def kill(self) -> None:
        """Send SIGKILL to all that is in it, whatever forks meanwhile and whoever owns it."""
        try:
            descriptor = posix.open(f"{self.path}/cgroup.kill", posix.O_WRONLY | posix.O_CLOEXEC)
        except OSError:
            return
        try:
            posix.write(descriptor, b"1")
        except OSError:
            return
        finally:
            posix.close(descriptor)

    def end(self) -> None:
        """Kill, wait until it is empty, and remove it."""
        self.kill()
        until = monotonic() + _LIMIT
        while not self.remove() and monotonic() < until:
            sleep(_PAUSE)

    def remove(self) -> bool:
        """Remove the group, with those that were made in it, if it is empty."""
        for name in listing(self.path):
            # Its files cannot be listed as folders, and so have nothing in them.
            if listing(f"{self.path}/{name}"):
                Group(f"{self.path}/{name}").remove()
        try:
            posix.rmdir(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def of_process(token: str) -> Group | None:
    """The one that the host made for this process's worker, whose mark is ``token``."""
    path = posix.environ.get(b"SNAKEPIT_GROUP", b"").decode("utf-8", "surrogateescape")
    # A variable from elsewhere must not have others killed.
    return Group(path) if token and path.endswith(f"/snakepit-{token}") else None


def of_run(group: Group, run: str) -> list[Group]:
    """Those of all workers of a host; ``group`` is one of them."""
    folder = group.path.rpartition("/")[0]
    return [Group(f"{folder}/{name}") for name in listing(folder) if f"snakepit-{run}-" in name]
