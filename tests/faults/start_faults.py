"""Workers that cannot start, take long to start, or were started by a thread that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import snakepit
from snakepit import StartError

from .figures import Figure, exactly, none, shown
from .hosts import FAULTY, gates
from .processes import cpu_seconds, is_alive, marked, until


def boot_loop(rounds: int, watched: float, failed_starts: int) -> Iterator[Figure]:
    """Row 14: the adapter raises. After some starts in a row the pool is degraded, says why, and is
    calm; once the cause is gone it recovers by itself."""
    told, recovered, busiest, starts = 0, 0, 0.0, 0
    for _ in range(rounds):
        with gates() as folder:
            permit = folder / "permit"
            pool = snakepit.Pool(
                "faults.adapters:FailsToStart",
                size=2,
                adapter_args={"permit": str(permit)},
                max_failed_starts=failed_starts,
                degraded_retry=watched + 0.5,
                worker_output="drop",
            )
            with pool:
                try:
                    pool.await_ready(60)
                except StartError as error:
                    told += "no module named model_of_mine" in (error.remote_traceback or "")
                until(lambda pool=pool: pool.health().status == "unhealthy", "it is degraded")
                failed = pool.stats().restart_reasons["start"]
                busiest = max(busiest, _load(watched))
                starts += pool.stats().restart_reasons["start"] - failed
                permit.touch()
                until(lambda pool=pool: pool.health().healthy, "it recovers")
                recovered += pool.execute("pid", timeout=60) > 0
    yield shown("rounds", rounds)
    yield exactly("errors with the adapter's traceback", told, rounds)
    # A machine that is busy with other things makes it less, not more. One start may be among it.
    yield Figure("processor while degraded", 100 * busiest, "%", most=5 + 25 / watched)
    yield Figure("starts while degraded", starts, most=2 * rounds)
    yield exactly("pools that recovered", recovered, rounds)


def _load(seconds: float) -> float:
    """The part of a processor that this process and its workers use."""
    begin, before = time.monotonic(), time.process_time()
    others = cpu_seconds(marked())
    time.sleep(seconds)
    used = time.process_time() - before + cpu_seconds(marked()) - others
    return max(0.0, used) / (time.monotonic() - begin)


def slow_warmup(seconds: float, calls: int) -> Iterator[Figure]:
    """Row 15: ``initialize()`` takes long. Nothing is routed before it is over; a start that takes
    longer than it may is ended, and told."""
    with snakepit.Pool(
        "faults.adapters:WarmsUp",
        size=2,
        adapter_args={"seconds": seconds},
        start_timeout=seconds + 60,
        timeout=None,
    ) as pool:
        begin = time.monotonic()
        waiting = [pool.submit("is_warm") for _ in range(calls)]
        early, ready = 0, 0
        while time.monotonic() - begin < seconds:
            early += sum(call.done() for call in waiting)
            ready += pool.stats().ready
            time.sleep(0.02)
        warm = sum(call.result(60) for call in waiting)
        restarts = pool.stats().restarts
    yield shown("initialize() takes", seconds, "s")
    yield none("calls answered, or workers ready, before it was over", early + ready)
    yield exactly("calls answered by warm workers", warm, calls)
    yield none("workers restarted meanwhile", restarts)
    yield from _start_timeout()


def _start_timeout() -> Iterator[Figure]:
    limit = 0.5
    with snakepit.Pool(
        "faults.adapters:WarmsUp",
        size=1,
        adapter_args={"seconds": 600},
        start_timeout=limit,
        max_failed_starts=1,
        worker_output="drop",
    ) as pool:
        begin = time.monotonic()
        reason = ""
        try:
            pool.execute("is_warm", timeout=60)
        except StartError as error:
            reason = str(error)
        took = time.monotonic() - begin
    yield exactly("starts that took too long and were told", int("initialize" in reason), 1)
    yield Figure("start_timeout → told", took - limit, "s", most=2, promise="quiet")


def spawning_thread_ends(seconds: float) -> Iterator[Figure]:
    """Row 18: the thread that made the pool ends, and so do those that called it; the kernel's
    "die with your parent" is about threads, not processes."""
    made: Future[snakepit.Pool] = Future()
    threading.Thread(target=lambda: made.set_result(snakepit.Pool(FAULTY, size=2))).start()
    with made.result() as pool:
        pool.await_ready(60)
        threads = [threading.Thread(target=pool.execute, args=("pid",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pids = [worker.pid or 0 for worker in pool.list_workers()]
        time.sleep(seconds)  # The fault itself: what was tied to a thread is dead by now.
        dead = sum(not is_alive(pid) for pid in pids)
        restarts = pool.stats().restarts
    yield shown("after the thread's end", seconds, "s")
    yield none("workers that died with a thread", dead + restarts)
