"""What killed hosts have left, ended by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from snakepit import _core

if TYPE_CHECKING:
    from os import PathLike


class CleanupReport(NamedTuple):
    """What ``cleanup()`` did."""

    hosts: list[int]
    """Process ids that the dead hosts had."""
    ended: list[int]
    """Processes that had outlived them and are gone now."""
    refused: list[int]
    """Processes that this user may not end."""
    folders: int
    """Run folders removed."""


def cleanup(*folders: str | PathLike[str]) -> CleanupReport:
    """End the processes that killed hosts of this user have left, and remove their run folders.

    What belongs to a living host is not touched. As a rule there is nothing to do: workers end with
    their host, and each host looks after its predecessors with its first pool. Left can be what
    outlived a watching process that was killed or stopped too. Blocks: milliseconds where nothing
    is left, some four seconds a dead host at most.

    Args:
        folders: Where to look for run folders. Default: ``$XDG_RUNTIME_DIR``, ``/run/user/UID``,
            the temporary folder and ``/tmp``. Name others where the hosts had another environment.
    """
    return CleanupReport(*_core.cleanup(folders or None))
