"""Workers that die, and what a program may do about it: retries, breakers, a health monitor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import snakepit
from snakepit import executor
from snakepit_bridge import BaseAdapter, tool


class Fragile(BaseAdapter):
    @tool
    def square(self, x: float) -> float:
        return x * x

    @tool
    def crash(self) -> None:
        os.abort()  # as a fault in a C library ends it

    @tool
    def unlucky(self, mark: str) -> str:
        """Dies at the first try, and only then."""
        if not Path(mark).exists():
            Path(mark).touch()
            os._exit(3)
        return "done"

    @tool
    def hang(self) -> None:
        while True:
            time.sleep(60)


def main() -> None:
    with snakepit.Pool(Fragile, size=2, grace=0.2, worker_output="drop") as pool:
        # A worker that dies takes one call along, and that one is told how. The others go on.
        others = pool.map("square", ({"x": x} for x in range(200)))
        first = [next(others) for _ in range(10)]
        try:
            pool.execute("crash")
        except snakepit.WorkerDied as error:
            print(f"crash: {error.signal}, may have run: {error.may_have_run}")
        print("calls beside it:", len(first) + sum(1 for _ in others), "of 200")

        # A deadline is one for the caller and for the worker: what does not stop is ended.
        try:
            pool.execute("hang", timeout=0.2)
        except snakepit.CallTimeout as error:
            print(f"hang: {type(error).__name__}, while the call was {error.step}")

        # What may run twice without harm is made again, on another worker.
        with TemporaryDirectory() as folder:
            mark = {"mark": f"{folder}/died"}
            print("idempotent:", pool.execute("unlucky", mark, idempotent=True))

        print("still here:", pool.execute("square", {"x": 12}), "is 12 * 12")
        until(lambda: pool.stats().worker_deaths == 3)
        print("causes:", dict(sorted(pool.stats().restart_reasons.items())))
    breaker()
    protected()


def breaker() -> None:
    """While everything fails, callers are refused at once instead of waiting for the next crash."""
    guard = snakepit.CircuitBreaker(failure_threshold=3, reset_timeout=1)
    with snakepit.Pool(Fragile, size=2, circuit_breaker=guard, worker_output="drop") as pool:
        monitor = snakepit.HealthMonitor(pool, max_crashes=3)
        print("circuit:", guard.state, "| healthy:", monitor.healthy)
        for _ in range(4):
            try:
                pool.execute("crash")
            except snakepit.WorkerDied as error:
                print("crash:", error.cause)
            except snakepit.CircuitOpen as error:
                print(f"refused: {type(error).__name__}, come again in {error.retry_after:.2f} s")
        print("circuit:", guard.state)
        until(lambda: not monitor.healthy)
        print("healthy:", monitor.healthy)

        time.sleep(1)  # then one call may try
        print("probe:", pool.execute("square", {"x": 3}), "| circuit:", guard.state)


def protected() -> None:
    """The same guards for any function of yours: retries, and a breaker around them."""
    attempts = 0

    def flaky() -> str:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ConnectionError("not yet")
        return f"answer at attempt {attempts}"

    guard = snakepit.CircuitBreaker(failure_threshold=5)
    print(
        "executor:",
        executor.execute_with_protection(
            guard, flaky, max_attempts=4, backoff=[0.01, 0.02, 0.04], retriable=[ConnectionError]
        ),
    )


def until(condition: Callable[[], bool]) -> None:
    """What a worker's end changes is counted a moment after its callers were told."""
    while not condition():
        time.sleep(0.01)


if __name__ == "__main__":
    main()
