"""The thread profile: one worker, one model, several calls at once.

Good for calls that wait, or compute in libraries that let go of the GIL; on a free-threaded Python
(3.13t) for plain Python, too.
"""

from __future__ import annotations

import time

import snakepit
from snakepit_bridge import BaseAdapter, ThreadSafeAdapter, thread_safe_method, tool

CALLS = 16
THREADS = 8
SECONDS = 0.05
BOOK = {"anna": "soup", "bert": "fish", "cleo": "figs"}


class Model(ThreadSafeAdapter):  # says that its tools may overlap: `__thread_safe__ = True`
    def initialize(self) -> None:
        self.book = BOOK  # 1: set before the first call, then only read
        self.asked: dict[str, int] = {}

    @tool
    @thread_safe_method
    def favourite(self, name: str) -> str:
        cache = self.get_thread_local("cache", {})  # 2: a value for each thread
        if name not in cache:
            time.sleep(SECONDS)  # a database, a disk, a GPU
            cache[name] = self.book[name]
            self.set_thread_local("cache", cache)
        with self.acquire_lock():  # 3: shared and changing
            self.asked[name] = self.asked.get(name, 0) + 1
        return str(cache[name])

    @tool
    @thread_safe_method
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    @thread_safe_method
    def counts(self) -> dict[str, int]:
        with self.acquire_lock():
            return dict(self.asked)

    @tool
    def careless(self) -> None:
        self.last = time.time()  # without the lock


class Plain(BaseAdapter):
    """Does not say that its tools may overlap, so they never do."""


def main() -> None:
    with snakepit.Pool(Model, size=1) as pool:
        time_waits(pool)
    with snakepit.Pool(
        Model,
        size=1,
        profile="thread",
        threads_per_worker=THREADS,
        thread_safety_checks=True,
        worker_output="drop",  # the checks are told there, too
    ) as pool:
        time_waits(pool)
        names = [{"name": name} for name in BOOK] * 4
        print("answers:", sorted(set(pool.map("favourite", names, in_flight=THREADS))))
        print("counted:", dict(sorted(pool.execute("counts").items())))
        pool.execute("careless")

        for worker in pool.info().workers:
            if worker.python is not None:
                print("its GIL is", "on" if worker.python.gil else "off")
            for report in worker.reports:
                print("checks:", report)
        print("safe to overlap:", sorted(it.name for it in pool.tools() if it.thread_safe))

    try:
        with snakepit.Pool(Plain, size=1, profile="thread", worker_output="drop") as pool:
            pool.await_ready()
    except snakepit.StartError as error:
        print(f"{type(error).__name__}:", str(error).splitlines()[0])


def time_waits(pool: snakepit.Pool) -> None:
    info = pool.info()
    pool.await_ready()
    started = time.perf_counter()
    list(pool.map("wait", [{"seconds": SECONDS}] * CALLS, in_flight=CALLS))
    took = time.perf_counter() - started
    at_once = f"{info.size} worker, {info.capacity} at once in it"
    print(f"{info.profile}, {at_once}: {CALLS} calls that wait {SECONDS} s took {took:.2f} s")


if __name__ == "__main__":
    main()
