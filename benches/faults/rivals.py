"""The pools, behind one interface. Each is used as its documentation says, with two workers.

Start methods are the libraries' own defaults, except that ``ProcessPoolExecutor`` and
``multiprocessing.Pool`` spawn, as the latter needs no fork of a process with threads.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from . import tasks

WORKERS = 2
Initializer = Callable[[], None] | None


class Handle(Protocol):
    """One call under way."""

    def result(self, timeout: float | None = None) -> Any: ...


class Rival:
    """A pool with two workers."""

    distribution: str | None = None
    """Its name on PyPI; ``None``: it comes with Python."""
    by_memory = False
    """Whether it replaces a worker because of its memory, rather than by a count of calls."""

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        """Start it. ``recycle``: replace leaking workers, by memory where it can."""
        raise NotImplementedError

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        """Call a task, with the pool's own limit for one call where it has any."""
        raise NotImplementedError

    def leak(self, calls: int, patience: float) -> list[int | None]:
        """Call ``leak`` so often, one by one: who ran each, or ``None`` where it failed."""
        ran: list[int | None] = []
        for _ in range(calls):
            try:
                ran.append(self.submit("leak").result(patience))
            except Exception:
                ran.append(None)
        return ran

    def cancel(self, handle: Any) -> None:
        """Give up a call that runs."""
        handle.cancel()

    def close(self) -> None:
        """Close it at once, busy or not, by the strongest means that its interface has."""
        raise NotImplementedError


class Executor(Rival):
    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        from concurrent.futures import ProcessPoolExecutor

        self._pool: Any = ProcessPoolExecutor(
            WORKERS,
            multiprocessing.get_context("spawn"),
            initializer=initializer,
            max_tasks_per_child=5 if recycle else None,
        )

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        handle: Handle = self._pool.submit(tasks.TASKS[task], path)
        return handle

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Loky(Executor):
    distribution = "loky"
    by_memory = True

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        import loky

        self._pool = loky.ProcessPoolExecutor(WORKERS, initializer=initializer)

    def close(self) -> None:
        self._pool.shutdown(wait=True, kill_workers=True)


class Pool(Rival):
    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(
            WORKERS, initializer, maxtasksperchild=5 if recycle else None
        )

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        return Got(self._pool.apply_async(tasks.TASKS[task], (path,)))

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError("no cancel")

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


class Got:
    """An ``AsyncResult`` as a future."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._result.get(timeout)
        except multiprocessing.TimeoutError as late:  # Not the builtin one.
            raise TimeoutError from late


class Pebble(Rival):
    distribution = "Pebble"

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        import pebble

        self._pool: Any = pebble.ProcessPool(
            WORKERS, max_tasks=5 if recycle else 0, initializer=initializer
        )

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        handle: Handle = self._pool.schedule(tasks.TASKS[task], args=[path], timeout=timeout)
        return handle

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()


class Mpire(Rival):
    distribution = "mpire"

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        from mpire.pool import WorkerPool

        self._initializer = initializer
        self._pool: Any = WorkerPool(WORKERS, keep_alive=True)

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        function = tasks.TASKS[task]
        if timeout is None:
            return Got(self._pool.apply_async(function, (path,), worker_init=self._initializer))
        # Its map ends the worker at the limit; its apply_async only frees the caller.
        with_limit = partial(self._pool.map, chunk_size=1, task_timeout=timeout)
        return ThreadPoolExecutor(1).submit(lambda: with_limit(function, [path])[0])

    def leak(self, calls: int, patience: float) -> list[int | None]:
        # Only its map replaces workers.
        nothing = [None] * calls
        ran: list[int | None] = self._pool.map(
            tasks.TASKS["leak"], nothing, worker_lifespan=5, chunk_size=1, task_timeout=patience
        )
        return ran

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError("no cancel")

    def close(self) -> None:
        self._pool.terminate()


class Deadpool(Rival):
    distribution = "deadpool-executor"
    by_memory = True

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        import deadpool

        self._pool: Any = deadpool.Deadpool(
            max_workers=WORKERS,
            initializer=initializer,
            max_worker_memory_bytes=64 << 20 if recycle else None,
        )

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        handle: Handle = self._pool.submit(tasks.TASKS[task], path, deadpool_timeout=timeout)
        return handle

    def cancel(self, handle: Any) -> None:
        handle.cancel_and_kill_if_running()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Snakepit(Rival):
    distribution = "snakepit-pool"
    by_memory = True

    def start(self, initializer: Initializer = None, *, recycle: bool = False) -> None:
        import snakepit

        adapter = "faults.adapter:Broken" if initializer else "faults.adapter:Tasks"
        self._pool = snakepit.Pool(
            adapter,
            size=WORKERS,
            recycle=snakepit.Recycle(memory=64 << 20) if recycle else None,
            worker_output="drop",
        )

    def submit(self, task: str, path: str | None = None, timeout: float | None = None) -> Handle:
        asked = {"task": task, "path": path}
        return self._pool.submit("run", asked, timeout=timeout)

    def close(self) -> None:
        self._pool.close(drain=0)


RIVALS: dict[str, type[Rival]] = {
    "snakepit": Snakepit,
    "ProcessPoolExecutor": Executor,
    "multiprocessing.Pool": Pool,
    "loky": Loky,
    "pebble": Pebble,
    "mpire": Mpire,
    "deadpool": Deadpool,
}


def versions() -> dict[str, str]:
    """What is installed of them."""
    found = {}
    for name, rival in RIVALS.items():
        if rival.distribution is None:
            found[name] = "with Python"
            continue
        try:
            found[name] = importlib.metadata.version(rival.distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def in_background(work: Callable[[], object]) -> threading.Event:
    """Run what may hang; the event is set when it has come back, in whatever way."""
    done = threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    return done
