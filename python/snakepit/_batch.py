"""Many functions at once, in threads or in tasks, so that none harms another.

A function that is too slow is left behind: its place goes to the next, and what becomes of it is
of no interest any more. A thread then runs on by itself; a task has been cancelled.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from snakepit._calling import awaitable, plain
from snakepit._checks import positive
from snakepit._duration import limit
from snakepit.errors import CallTimeout

if TYPE_CHECKING:
    from asyncio import Task

    from snakepit._duration import Duration

T = TypeVar("T")

# A thread costs memory, and the system may have few; tasks cost next to nothing.
_THREADS = 32

# The event loop holds tasks weakly.
_left_behind: set[Task[Any]] = set()


class Outcome(NamedTuple, Generic[T]):
    """How one function of a batch ended: ``value, error = outcome``."""

    value: T | None
    """What it returned; ``None`` where it failed."""
    error: BaseException | None
    """What it raised; ``CallTimeout`` where it was too slow; ``None`` where it returned."""

    @property
    def ok(self) -> bool:
        """Whether it returned."""
        return self.error is None

    def result(self) -> T:
        """Return what it returned, or raise what it raised."""
        try:
            if self.error is not None:
                raise self.error
            return self.value  # type: ignore[return-value]  # without an error it is a T
        finally:
            del self  # the error's traceback holds this frame


def too_late(seconds: float, step: str = "running") -> CallTimeout:
    """Build the error of a function that had no more time; queued ones had not begun."""
    begun = step == "running"
    rest = "" if begun else ": it was not begun"
    return CallTimeout(
        f"no result within {seconds:g} s{rest}", timeout=seconds, step=step, may_have_run=begun
    )


def start_thread(
    fn: Callable[[], T], place: int, ended: SimpleQueue[tuple[int, Outcome[T]]]
) -> None:
    """Run ``fn`` in a daemon thread, in a copy of this context, and report how it ended."""
    context = contextvars.copy_context()

    def run() -> None:
        # No local holds the outcome: a traceback holds this frame.
        try:
            value = context.run(fn)
        except BaseException as error:
            ended.put((place, Outcome(None, error)))
        else:
            ended.put((place, Outcome(value, None)))

    # A daemon: an interpreter that ends does not wait for a function that does not.
    threading.Thread(target=run, name="snakepit-executor", daemon=True).start()


def execute_batch(
    fns: Iterable[Callable[[], T]],
    *,
    max_concurrency: int | None = None,
    timeout: Duration | None = None,
    timeout_each: Duration | None = None,
) -> list[Outcome[T]]:
    """Run functions in threads and return how each ended, in their order.

    What one raises is its outcome and changes nothing for the others; nothing is raised here but
    what happens to the caller (Ctrl-C: no further function begins). A function that is too slow
    gets ``CallTimeout`` and its place goes to the next one; its thread cannot be stopped and runs
    on, so bound what it waits for. It does not keep the interpreter from ending.

    Args:
        fns: Functions without parameters; they see this thread's context variables.
        max_concurrency: So many run at once. Default: 32.
        timeout: Seconds for the whole batch; ``None``: no limit. What has not ended gets
            ``CallTimeout``, whose ``step`` is ``"queued"`` where it had not begun.
        timeout_each: Seconds for each function from its own beginning; ``None``: no limit.
    """
    at_once = _THREADS if max_concurrency is None else positive("max_concurrency", max_concurrency)
    whole, each = limit("timeout", timeout), limit("timeout_each", timeout_each)
    waiting = list(enumerate(fns))
    waiting.reverse()
    outcomes: list[Outcome[T] | None] = [None] * len(waiting)
    ended: SimpleQueue[tuple[int, Outcome[T]]] = SimpleQueue()
    running: dict[int, float] = {}  # place → until when, in order of their beginning
    now = time.monotonic()
    end = float("inf") if whole is None else now + whole
    while (waiting or running) and now < end:
        while waiting and len(running) < at_once:
            place, fn = waiting.pop()
            running[place] = float("inf") if each is None else now + each
            try:
                start_thread(_plain(fn), place, ended)
            except RuntimeError as no_thread:
                ended.put((place, Outcome[T](None, no_thread)))
        # All have the same limit, so the first that began is the first that is late.
        until = min(end, next(iter(running.values())))
        try:
            place, outcome = ended.get(
                timeout=None if until == float("inf") else max(0.0, until - now)
            )
        except Empty:
            pass
        else:
            if running.pop(place, None) is not None:  # else it was given up before
                outcomes[place] = outcome
        now = time.monotonic()
        while each is not None and running and next(iter(running.values())) <= now:
            place = next(iter(running))
            del running[place]
            outcomes[place] = Outcome(None, too_late(each))
    for place in running:
        outcomes[place] = Outcome(None, too_late(whole or 0.0))
    return _complete(outcomes, whole)


async def aexecute_batch(
    fns: Iterable[Callable[[], Awaitable[T]]],
    *,
    max_concurrency: int | None = None,
    timeout: Duration | None = None,
    timeout_each: Duration | None = None,
) -> list[Outcome[T]]:
    """Like ``execute_batch``, for functions whose result is awaited, each in a task of its own.

    One that is too slow is cancelled, and not waited for. When the caller is cancelled, all are,
    and their ends are waited for.

    Args:
        fns: Functions without parameters that return something to await.
        max_concurrency: So many run at once. Default: all.
        timeout: As there.
        timeout_each: As there.
    """
    import asyncio

    whole, each = limit("timeout", timeout), limit("timeout_each", timeout_each)
    listed = list(fns)
    at_once = len(listed)
    if max_concurrency is not None:
        at_once = min(at_once, positive("max_concurrency", max_concurrency))
    outcomes: list[Outcome[T] | None] = [None] * len(listed)
    waiting = iter(enumerate(listed))
    running: dict[int, Task[T]] = {}

    async def take_turns() -> None:
        for place, fn in waiting:
            task = running[place] = asyncio.ensure_future(_awaited(fn))
            await asyncio.wait([task], timeout=each)
            del running[place]
            outcomes[place] = _leave(task, each) if not task.done() else _outcome(task)

    turns = [asyncio.ensure_future(take_turns()) for _ in range(at_once)]
    try:
        if turns:
            await asyncio.wait(turns, timeout=whole)
    except asyncio.CancelledError:
        for turn in turns:
            turn.cancel()
        for task in running.values():
            task.cancel()
        await asyncio.gather(*turns, *running.values(), return_exceptions=True)
        raise
    for turn in turns:
        turn.cancel()
    for place, task in running.items():
        outcomes[place] = _outcome(task) if task.done() else _leave(task, whole)
    return _complete(outcomes, whole)


def _plain(fn: Callable[[], T]) -> Callable[[], T]:
    return lambda: plain(fn(), "aexecute_batch")


async def _awaited(fn: Callable[[], Awaitable[T]]) -> T:
    return await awaitable(fn, "execute_batch")


def _outcome(task: Task[T]) -> Outcome[T]:
    import asyncio

    try:
        return Outcome(task.result(), None)
    except (Exception, asyncio.CancelledError) as error:
        return Outcome(None, error)


def _leave(task: Task[T], seconds: float | None) -> Outcome[T]:
    _left_behind.add(task)
    task.add_done_callback(_ended)
    task.cancel()
    return Outcome(None, too_late(seconds or 0.0))


def _ended(task: Task[Any]) -> None:
    _left_behind.discard(task)
    if not task.cancelled():
        task.exception()  # asked for, so that asyncio does not report that nobody did


def _complete(outcomes: list[Outcome[T] | None], whole: float | None) -> list[Outcome[T]]:
    queued = too_late(whole or 0.0, "queued")
    return [outcome or Outcome(None, queued) for outcome in outcomes]
