"""The pools that are measured, behind one interface. Each imports its library when it starts,
since the import is part of the start that a user waits for.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Protocol

import tasks


class Result(Protocol):
    def result(self, timeout: float | None = None) -> Any: ...


class Contender:
    """A pool of workers that runs ``tasks.TASKS``; the defaults fit anything with futures."""

    def start(self, workers: int) -> None:
        raise NotImplementedError

    def submit(self, task: str, arg: dict[str, Any]) -> Result:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def call(self, task: str, arg: dict[str, Any]) -> Any:
        return self.submit(task, arg).result(60)

    def stream(self, count: int) -> Iterator[Any]:
        raise NotImplementedError

    def flight(self, depth: int, seconds: float) -> tuple[int, float]:
        """Keep ``depth`` no-ops in flight; returns how many ended and in what time."""
        arg = {"x": 1}
        window = collections.deque(self.submit("noop", arg) for _ in range(depth))
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            window.popleft().result(60)
            window.append(self.submit("noop", arg))
            done += 1
        elapsed = time.perf_counter() - start
        for waiting in window:
            waiting.result(60)
        return done, elapsed


class Pipe(Contender):
    """No pool: one process at the other end of a `multiprocessing.Pipe`, to measure by."""

    def start(self, workers: int) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(target=serve_pipe, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def call(self, task: str, arg: dict[str, Any]) -> Any:
        self._end.send_bytes(b'{"x": 1}')
        return self._end.recv_bytes()

    def stream(self, count: int) -> Iterator[Any]:
        self._end.send_bytes(b"%d" % count)
        for _ in range(count):
            yield self._end.recv()

    def close(self) -> None:
        self._end.close()
        self._process.join(10)


def serve_pipe(end: Any) -> None:
    """Echo bytes; on a number, send as many items, pickled."""
    while True:
        try:
            message = end.recv_bytes()
        except EOFError:
            return
        if message.isdigit():
            for item in tasks.items(int(message)):
                end.send(item)
        else:
            end.send_bytes(message)


class Executor(Contender):
    """`concurrent.futures.ProcessPoolExecutor`, start method spawn, as ours starts interpreters."""

    def start(self, workers: int) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self._pool: Any = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))

    def submit(self, task: str, arg: dict[str, Any]) -> Future[Any]:
        future: Future[Any] = self._pool.submit(tasks.TASKS[task], arg)
        return future

    def close(self) -> None:
        self._pool.shutdown()


class Loky(Executor):
    def start(self, workers: int) -> None:
        import loky

        self._pool = loky.get_reusable_executor(max_workers=workers, timeout=None)

    def close(self) -> None:
        self._pool.shutdown(kill_workers=True)


class Ray(Contender):
    """One actor a worker, round robin."""

    def start(self, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray = ray
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)

        @ray.remote(max_restarts=-1, max_task_retries=0)  # type: ignore[untyped-decorator,unused-ignore]
        class Worker:
            def run(self, task: str, arg: dict[str, Any]) -> Any:
                return tasks.TASKS[task](arg)

            def items(self, count: int) -> Iterator[Any]:
                yield from tasks.items(count)

        self._actors: list[Any] = [Worker.remote() for _ in range(workers)]  # type: ignore[attr-defined]
        self._next = itertools.cycle(self._actors)

    def submit(self, task: str, arg: dict[str, Any]) -> Result:
        return RayResult(self._ray, next(self._next).run.remote(task, arg))

    def stream(self, count: int) -> Iterator[Any]:
        for reference in self._actors[0].items.options(num_returns="streaming").remote(count):
            yield self._ray.get(reference)

    def close(self) -> None:
        self._ray.shutdown()


class RayResult:
    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray = ray
        self._reference = reference

    def result(self, timeout: float | None = None) -> Any:
        return self._ray.get(self._reference, timeout=timeout)


class Snakepit(Contender):
    def start(self, workers: int) -> None:
        import snakepit

        self._pool = snakepit.Pool("adapter:BenchAdapter", size=workers)

    def submit(self, task: str, arg: dict[str, Any]) -> Future[Any]:
        return self._pool.submit(task, arg)

    def call(self, task: str, arg: dict[str, Any]) -> Any:
        return self._pool.execute(task, arg)

    def stream(self, count: int) -> Iterator[Any]:
        return iter(self._pool.execute_stream("items", {"count": count}))

    def close(self) -> None:
        self._pool.close()


class SnakepitAsync(Snakepit):
    """The same pool, called from coroutines; only its flight differs."""

    def flight(self, depth: int, seconds: float) -> tuple[int, float]:
        return asyncio.run(self._flight(depth, seconds))

    async def _flight(self, depth: int, seconds: float) -> tuple[int, float]:
        import snakepit

        start = 0.0
        done = 0

        async def caller(pool: snakepit.AsyncPool) -> None:
            nonlocal done
            while time.perf_counter() - start < seconds:
                await pool.execute("noop", {"x": 1})
                done += 1

        async with snakepit.AsyncPool("adapter:BenchAdapter", size=2) as pool:
            await pool.await_ready(60)
            start = time.perf_counter()
            await asyncio.gather(*(caller(pool) for _ in range(depth)))
            return done, time.perf_counter() - start


CONTENDERS: dict[str, type[Contender]] = {
    "pipe": Pipe,
    "executor": Executor,
    "loky": Loky,
    "ray": Ray,
    "snakepit": Snakepit,
    "snakepit asyncio": SnakepitAsync,
}
