"""``BaseAdapter``, the class that users derive from, and where its worker stands in the pool.

It holds no logic of calls or tools: any class with ``@tool`` methods can be an adapter, and a
subclass may leave out ``super().__init__()``.
"""

from __future__ import annotations

from contextvars import ContextVar

from ._context import SessionContext, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, TypeVar

    Made = TypeVar("Made", bound="BaseAdapter")


class WorkerInfo:
    """The place of a worker in its pool: ``self.worker``."""

    __slots__ = ("device", "generation", "pool", "slot")

    def __init__(self, pool: str, slot: int, generation: int, device: str | None = None) -> None:
        self.pool = pool
        """Name of the pool."""
        self.slot = slot
        """Place in the pool, from 0; a restarted worker keeps it."""
        self.generation = generation
        """Counts the processes that have filled the slot, from 1; 0 outside of a worker."""
        self.device = device
        """Device assigned to the slot, as the host calls it, like ``cuda:1``; None: none."""

    @property
    def torch_device(self) -> str | None:
        """The assigned device as PyTorch calls it in here, where no other is seen; None: none.

        ``cuda:0`` for whichever one of NVIDIA or AMD it is, else ``mps`` or ``cpu``.
        """
        if self.device is None or self.device in ("cpu", "mps"):
            return self.device
        return "cuda:0"

    def __repr__(self) -> str:
        fields = f"{self.pool!r}, slot={self.slot}, generation={self.generation}"
        return f"WorkerInfo({fields}, device={self.device!r})"


OUTSIDE = WorkerInfo("outside", 0, 0)
"""What an adapter sees that somebody made by hand, for instance in a unit test."""

starting: ContextVar[WorkerInfo] = ContextVar("snakepit_starting", default=OUTSIDE)
"""The worker for which an adapter is being made right now."""


class BaseAdapter:
    """Base of adapters; an instance lives as long as its worker.

    Args of a subclass's ``__init__`` are the keywords that the pool passes as ``adapter_args``.
    """

    _snakepit_worker: WorkerInfo = OUTSIDE
    _snakepit_context: SessionContext | None = None

    # Not in __init__: a subclass that forgets super().__init__() must find self.worker as well,
    # and it must be there from its first line on, also for threads that it starts.
    def __new__(cls: type[Made], *args: Any, **kwargs: Any) -> Made:  # noqa: PYI019, not in 3.10
        self = super().__new__(cls)
        self._snakepit_worker = starting.get()
        return self

    def __init__(self) -> None:
        pass

    def initialize(self) -> Awaitable[None] | None:
        """Called once, before the worker is ready for calls. May be ``async``."""
        return None

    def cleanup(self) -> Awaitable[None] | None:
        """Called once, after the last call, when a worker ends in good order. May be ``async``."""
        return None

    def session_closed(self, session_id: str) -> Awaitable[None] | None:
        """Called when a session that had calls in this worker is over. May be ``async``.

        It was closed, has expired, or the worker ends in good order. Called between calls, where
        tools are; ``self.session_context.state`` is still there and is dropped then. Keep it short:
        the worker's next call waits for it, and nothing limits it. What it raises is written to
        stderr and harms nobody.
        """
        return None

    @property
    def session_context(self) -> SessionContext:
        """The call that runs in this thread or coroutine; never None.

        It may be assigned to, which adapters of the original Snakepit do: what was assigned shows
        where no call runs, for instance in a unit test or a thread of the adapter's own.
        """
        call = current.get()
        if call is None and self._snakepit_context is not None:
            return self._snakepit_context
        return SessionContext(call)

    @session_context.setter
    def session_context(self, context: SessionContext | None) -> None:
        self._snakepit_context = context

    @property
    def worker(self) -> WorkerInfo:
        """Where this adapter's worker stands in its pool."""
        return self._snakepit_worker
