"""What killed hosts have left, ended by hand."""

from __future__ import annotations

from typing import NamedTuple

from snakepit import _core


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


def cleanup() -> CleanupReport:
    """End the processes that killed hosts of this user have left, and remove their run folders.

    What belongs to a living host is not touched. As a rule there is nothing to do: workers end with
    their host, and each host looks after its predecessors with its first pool. Left can be what
    outlived a watching process that was killed or stopped too. Blocks: milliseconds where nothing
    is left, some four seconds a dead host at most.
    """
    return CleanupReport(*_core.cleanup())
