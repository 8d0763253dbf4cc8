"""Serves calls of which several run at once: what the profiles thread and async have in common.

.. code-block:: text

    snakepit-line   drives: reads frames, hands out calls, sends what was said
    main thread     waits, so that signal handlers of the adapter run
    snakepit-ends   tells the adapter that a session is over; no call begins meanwhile
    thread profile  N threads with one call each: sync tools there, coroutines on the loop
    async profile   one loop, each call a task of it: ``_tasks``

Each call runs in a context of its own, a copy of the one that ``initialize`` left behind.
"""

from __future__ import annotations

import threading
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ._context import current
from ._sessions import of_this_worker
from ._suggest import Suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._lifecycle import LiveAdapter
    from ._native import Call, Describe, Initialize, Job, Jobs, Line
    from ._safety import Checks


def serve(line: Line, live: LiveAdapter, order: Initialize, describe: Describe) -> bool:
    """Run calls until the host drains (True) or the line ends (False)."""
    threads = order["profile"] == "thread"
    tools = live.tools if threads else live.bare
    jobs = line.jobs(tools, current, describe, Suggest(tools, live.adapter, line.report))
    finish: Callable[[], None]
    if threads:
        checks = _checks(line, live) if order["thread_safety_checks"] else None
        finish = Threads(jobs, live, order["capacity"], checks).join
    else:
        from ._tasks import Tasks

        loop = live.running_loop()
        of_this_worker.closed = lambda session_id: loop.run(
            _closed(live.adapter, session_id), current.get()
        )
        finish = Tasks(jobs, loop).close
    ends = threading.Thread(target=_end_sessions, args=(jobs,), name="snakepit-ends", daemon=True)
    ends.start()
    driver = _Driver(line, jobs)
    if not driver.wait():
        return False  # Nobody waits for what still runs.
    finish()
    ends.join()  # The other sessions end with the worker.
    return True


def enter(call: Call) -> None:
    """Make ``call`` the one that runs in this context, which is its own and ends with it."""
    current.set(call)
    if (traced := call.trace) is not None:
        from ._trace import attach

        attach(*traced[:2])


def _end_sessions(jobs: Jobs) -> None:
    while (generation := jobs.next_end()) is not None:
        of_this_worker.end(generation)
        jobs.ended()


async def _closed(adapter: Any, session_id: str) -> None:
    """Call the adapter's ``session_closed`` on the loop, where all of its code runs."""
    if (hook := getattr(adapter, "session_closed", None)) is not None:
        result = hook(session_id)
        if hasattr(type(result), "__await__"):
            await result


def _checks(line: Line, live: LiveAdapter) -> Checks:
    from ._safety import Checks

    return Checks(live, lambda text: line.report("thread_safety", text))


class _Driver:
    """The thread that drives the line."""

    def __init__(self, line: Line, jobs: Jobs) -> None:
        self._line = line
        self._jobs = jobs
        self._drained = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._drive, name="snakepit-line", daemon=True)
        self._thread.start()

    def _drive(self) -> None:
        try:
            self._drained = self._line.drive(self._jobs)
        except BaseException as failed:
            self._failed = failed

    def wait(self) -> bool:
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return self._drained


class Threads:
    """The threads of a worker's sync tools."""

    def __init__(self, jobs: Jobs, live: LiveAdapter, count: int, checks: Checks | None) -> None:
        self._jobs = jobs
        self._checks = checks
        self._track = getattr(live.adapter, "track_request", None)
        self._context = copy_context()
        self._threads = [
            threading.Thread(target=self._work, name=f"snakepit-call-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            context: Context = self._context.copy()
            context.run(self._call, job)
            # Neither may keep what the call made alive until the next one comes.
            del job, context

    def _call(self, job: Job) -> None:
        enter(job.call)
        try:
            if (begun := job.begin()) is None:
                return
            function, keywords = begun
            if self._track is not None or self._checks is not None:
                function = self._watched(job, function)
            result = function(**keywords)
            if job.streams:
                _stream(job, iter(result))
            else:
                job.reply(result)
        except BaseException as error:
            job.fail(error)

    def _watched(self, job: Job, function: Callable[..., Any]) -> Callable[..., Any]:
        from contextlib import ExitStack

        def watched(**keywords: Any) -> Any:
            with ExitStack() as around:
                self._surround(around, job)
                result = function(**keywords)
                if not job.streams:
                    return result
                return _kept(around.pop_all(), iter(result))

        return watched

    def _surround(self, around: Any, job: Job) -> None:
        if self._checks is not None:
            around.enter_context(self._checks.inside(job.tool))
        if self._track is not None:
            around.enter_context(self._track(f"{job.tool}-{job.call.id}"))


def _kept(around: Any, items: Iterator[Any]) -> Iterator[Any]:
    """``items``, inside of what surrounds the call as long as they come."""
    with around:
        try:
            yield from items
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()


def _stream(job: Job, items: Iterator[Any]) -> None:
    """Run a stream to its end, or until nobody wants more; what ``items`` raises comes out."""
    while job.wait_for_room():
        try:
            item = next(items)
        except StopIteration:
            job.end()
            return
        job.add(item)
        del item
    try:
        if (close := getattr(items, "close", None)) is not None:
            close()
    except BaseException as error:
        job.stop(error)
    else:
        job.stop()
