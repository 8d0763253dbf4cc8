"""What a pool's workers are: their profile, the Python that they run in, and what they report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from snakepit._stats import WorkerRef

if TYPE_CHECKING:
    from snakepit import _core

Profile = Literal["process", "thread", "async"]


@dataclass(frozen=True, slots=True)
class PythonInfo:
    """The Python that a worker runs in."""

    version: str
    """``"3.13.5"``, say."""
    gil: bool
    """Whether its global interpreter lock is on: then its threads run one at a time."""
    gil_enabled_by: str | None
    """The module for which a free-threaded Python switched its lock on; ``None``: the lock is off,
    or it is always on there."""


@dataclass(frozen=True, slots=True)
class WorkerDetail:
    """What there is to know of one worker, beside ``WorkerInfo``."""

    ref: WorkerRef
    running: int
    """Calls in it now."""
    python: PythonInfo | None
    """``None`` before it is ready, and of a ``Program``."""
    reports: tuple[str, ...]
    """What it told people of itself, the first 32 of it: a module that switched the global
    interpreter lock on, and with ``thread_safety_checks`` what its threads did to each other."""


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """How a pool is made up."""

    name: str
    profile: Profile
    """What runs a worker's calls."""
    size: int
    """Workers."""
    capacity: int
    """Calls that a worker runs at once."""
    workers: tuple[WorkerDetail, ...]
    """By slot."""


def read(name: str, size: int, told: _core._Info) -> PoolInfo:
    """Return what an engine told of the pool of that name."""
    profile, capacity, rows = told
    workers = tuple(
        WorkerDetail(
            WorkerRef(name, slot, generation),
            running,
            None if python is None else PythonInfo(*python),
            tuple(reports),
        )
        for slot, generation, running, python, reports in rows
    )
    return PoolInfo(name, cast("Profile", profile), size, capacity, workers)
