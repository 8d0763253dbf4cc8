"""What a pool tells about itself: counters, and its workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakepit import _core


@dataclass(frozen=True, slots=True)
class SharedMemoryStats:
    """A pool's shared memory now, and what it did since the pool was made. The workers' own, in
    which their results lie, is part of ``borrowed``."""

    segments: int
    """Segments of this process."""
    bytes: int
    """Bytes of memory behind them."""
    in_use: int
    """Of those the bytes of segments that hold something."""
    borrowed: int
    """Bytes of segments of workers that are mapped here."""
    reused: int
    """Values that were put where others had been."""
    made: int
    """Values that needed a new segment."""
    faults: int
    """Times that the system refused memory or a descriptor, or a worker a segment."""
    fallbacks: int
    """Values that went over the line instead."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Counters since the pool was made, and what is under way now.

    Every call is either admitted (``requests``) or refused at the door (``rejected``). One that
    was admitted is ``queued``, then ``running``, and ends as exactly one of ``completed``,
    ``errors``, ``cancelled`` and ``timeouts``.
    """

    requests: int
    """Calls admitted so far."""
    errors: int
    """Calls that ended in an error other than a deadline that passed or a cancel."""
    queued: int
    """Calls that wait for a worker now, or rest before they are tried again."""
    running: int
    """Calls at a worker now."""
    completed: int
    """Calls that returned a value, or a stream's end."""
    cancelled: int
    """Calls that their caller gave up."""
    timeouts: int
    """Calls whose deadline passed, wherever they were, and streams that were idle too long."""
    queue_timeouts: int
    """Those of them that passed before a worker began the call."""
    rejected: int
    """Calls refused at the door: the queue was full, the pool was closed, no worker could start,
    or the call's session was lost, busy, over, or one too many."""
    shed: int
    """Those of them that a full queue or an open circuit breaker refused."""
    retries: int
    """Calls that were made again because their worker had died."""
    retries_refused: int
    """Calls that were not, because the retry budget was empty."""
    quarantined: int
    """Calls given up because two workers had died under them (``PoisonCall``)."""
    worker_deaths: int
    """Workers that ended without being asked to."""
    restarts: int
    """Workers started to replace another."""
    workers: int
    """Worker slots of the pool."""
    ready: int
    """Slots whose worker takes calls now."""
    sessions: int
    """Sessions that are open."""
    queued_bytes: int
    """Bytes of the arguments that wait now."""
    retry_tokens: int
    """Tokens left in the retry budget: a retry takes 14, an answer brings 1, 500 fit."""
    circuit: str | None
    """``"closed"``, ``"open"`` or ``"half_open"``; ``None``: the pool has no circuit breaker."""
    barred: int
    """Slots that get no new calls, or one at a time, because their workers kept dying."""
    shared_memory: SharedMemoryStats | None = None
    """The memory in which large values travel; ``None``: the pool has none."""
    restart_reasons: Mapping[str, int] = field(default_factory=dict)
    """Ends of workers so far, by the words of ``WorkerDied.cause``: ``recycle_calls``,
    ``recycle_age``, ``recycle_memory``, ``recycle_request``, ``deadline``, ``cancel``, ``stall``,
    ``protocol``, ``oom``, ``signal_9``, ``exit_1`` and the like, ``shim``, ``unknown``; and
    ``start`` for starts that failed. Ends with the pool are not counted."""


def read(told: _core._Stats) -> PoolStats:
    """What the engine says, as its users see it."""
    memory = told["shared_memory"]
    counters = {name: value for name, value in told.items() if name != "shared_memory"}
    shared = None if memory is None else SharedMemoryStats(*memory)
    return PoolStats(**counters, shared_memory=shared)  # type: ignore[arg-type]


def total(each: Sequence[PoolStats]) -> PoolStats:
    """The counters of several pools together; of breakers the one that is worst off."""
    added = {
        item.name: sum(getattr(stats, item.name) for stats in each)
        for item in fields(PoolStats)
        if item.name not in ("circuit", "shared_memory", "restart_reasons")
    }
    circuits = [stats.circuit for stats in each]
    memories = [stats.shared_memory for stats in each if stats.shared_memory is not None]
    reasons = Counter[str]()
    for stats in each:
        reasons.update(stats.restart_reasons)
    return PoolStats(
        **added,
        circuit=next((it for it in ("open", "half_open", "closed") if it in circuits), None),
        shared_memory=SharedMemoryStats(
            *(
                sum(getattr(it, field.name) for it in memories)
                for field in fields(SharedMemoryStats)
            )
        )
        if memories
        else None,
        restart_reasons=dict(reasons),
    )


def _memory(each: Sequence[SharedMemoryStats]) -> SharedMemoryStats:
    names = [item.name for item in fields(SharedMemoryStats)]
    return SharedMemoryStats(*(sum(getattr(memory, name) for memory in each) for name in names))


@dataclass(frozen=True, slots=True, order=True)
class WorkerRef:
    """Names one worker process: a slot of a pool, and how often that slot has been filled."""

    pool: str
    slot: int
    generation: int

    def __str__(self) -> str:
        return f"{self.pool}/{self.slot}"


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker slot as it is now."""

    ref: WorkerRef
    pid: int | None
    """Process id of the worker; ``None`` while there is none."""
    state: str
    """``starting``, ``ready``, ``busy``, ``stalled``, ``draining``, ``stopping``, ``condemned`` or
    ``degraded``"""
    calls: int
    """Calls that this worker has finished."""
    memory: int | None
    """Bytes that its process tree holds for itself (anonymous and swapped); ``None``: unknown."""
    sessions: int
    """Sessions at home there."""
    breaker: str
    """What the slot's breaker does: ``"closed"``, ``"open"`` or ``"half_open"``."""
    tainted: bool
    """Whether other slots are preferred, since its worker crashed; see ``CrashBarrier``."""
    device: str | None
    """What it computes with, of the pool's ``devices``; ``None``: none is assigned."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session that is open, as it is now."""

    id: str
    home: WorkerRef | None
    """The worker that keeps its state; ``None``: it has not been used, or its worker is gone."""
    generation: int
    """Number of its binding to that worker, higher with every new one; 0: none."""
    calls: int
    """Calls that were admitted."""
    in_flight: int
    """Those of them that have not ended."""
    created: datetime
    """When it was opened."""
    last_used: datetime
    """When a call was last admitted or answered."""
    ttl: float | None
    """Seconds that it may be unused; ``None``: until it is closed."""
    ttl_left: float | None
    """Seconds until it expires, unless it is used before."""
    metadata: dict[str, Any]
    """What it was given; a copy."""


def session_info(pool: str, row: _core._SessionRow) -> SessionInfo:
    """Return what the engine tells of a session of ``pool``."""
    session_id, home, generation, calls, in_flight, age, idle, ttl, ttl_left, metadata = row
    now = datetime.now(UTC)
    return SessionInfo(
        id=session_id,
        home=None if home is None else WorkerRef(pool, *home),
        generation=generation,
        calls=calls,
        in_flight=in_flight,
        created=now - timedelta(seconds=age),
        last_used=now - timedelta(seconds=idle),
        ttl=ttl,
        ttl_left=ttl_left,
        metadata=metadata,
    )
