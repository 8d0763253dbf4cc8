"""Many more calls than a pool can do: row 22, measured. Reads no clock that a test would assert on.

python -m faults.overload 60        from the folder tests: the full figures
"""

from __future__ import annotations

import collections
import dataclasses
import sys
import time
from typing import Any

import snakepit
from snakepit_bridge import BaseAdapter, tool

WORK = 0.005
"""Seconds that a call keeps its worker."""

TICK = 0.002
PAGE = 4096


class Worker(BaseAdapter):
    @tool
    def work(self) -> None:
        time.sleep(WORK)


@dataclasses.dataclass(frozen=True)
class Overload:
    """What came of it. Times are in seconds, memory in bytes."""

    seconds: float
    capacity: float
    """Calls a second that the workers did before, always busy."""
    offered: int
    refused: int
    served: int
    max_queue: int
    most_queued: int
    p50: float
    """From submission to answer, of those that were let in."""
    p99: float
    wait: float
    """What a full queue takes, at the rate at which calls were served meanwhile."""
    memory_grown: int
    """Of the host: from the end of the first quarter to the end."""
    recovered: float
    """From the last offer until nothing waits and a fresh call is answered."""

    @property
    def goodput(self) -> float:
        """Calls served a second, beside those served before."""
        return self.served / (self.seconds + self.recovered) / self.capacity


def overloaded(
    seconds: float, *, factor: float = 10.0, size: int = 2, max_queue: int = 64
) -> Overload:
    """Offer ``factor`` times what the workers can do, whether or not earlier calls have ended.

    Raises:
        AssertionError: A call that was let in failed, or did not end exactly once.
    """
    with snakepit.Pool(f"{__name__}:Worker", size=size, max_queue=max_queue) as pool:
        pool.await_ready(60)
        capacity = _capacity(pool, max_queue)
        return _offer(pool, seconds, capacity, factor, max_queue)


def _capacity(pool: Any, in_flight: int) -> float:
    calls = max(in_flight // 2, 8)
    [future.result(60) for future in [pool.submit("work") for _ in range(8)]]
    begun = time.monotonic()
    for future in [pool.submit("work") for _ in range(calls)]:
        future.result(60)
    return calls / (time.monotonic() - begun)


def _offer(pool: Any, seconds: float, capacity: float, factor: float, max_queue: int) -> Overload:
    took: list[float] = []
    ends: collections.Counter[str] = collections.Counter()

    def submit() -> bool:
        begun = time.monotonic()
        try:
            future = pool.submit("work")
        except snakepit.QueueFull:
            return False

        def ended(future: Any) -> None:
            took.append(time.monotonic() - begun)
            ends["failed" if future.exception() else "served"] += 1

        future.add_done_callback(ended)
        return True

    offered = refused = most_queued = memory = 0
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        due = int(passed * capacity * factor)
        for _ in range(due - offered):
            refused += not submit()
        offered = max(due, offered)
        most_queued = max(most_queued, pool.stats().queued)
        if not memory and passed > seconds / 4:
            memory = resident()
        time.sleep(TICK)
    over = time.monotonic()
    let_in = offered - refused
    while ends.total() < let_in and time.monotonic() < over + 60:
        time.sleep(TICK)
    pool.execute("work")
    recovered = time.monotonic() - over
    assert ends == {"served": let_in}, f"{let_in} were let in; {dict(ends)}"
    took.sort()
    rate = let_in / (over - begun)
    return Overload(
        seconds=seconds,
        capacity=capacity,
        offered=offered,
        refused=refused,
        served=let_in,
        max_queue=max_queue,
        most_queued=most_queued,
        p50=took[len(took) // 2],
        p99=took[len(took) * 99 // 100],
        # Each worker may have as many waiting in it as a host ever sends ahead.
        wait=(max_queue + 32 * len(pool.list_workers())) / rate,
        memory_grown=max(0, resident() - memory),
        recovered=recovered,
    )


def resident() -> int:
    """Bytes of memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


if __name__ == "__main__":
    print(overloaded(float(sys.argv[1])))
