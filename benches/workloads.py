"""What is measured. A workload takes a contender that is not started and returns figures."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

from contenders import Contender, Pipe, Result
from processes import descendants, pss

Figures = dict[str, float]
Sizes = dict[str, float]

FULL: Sizes = {"warm": 500, "calls": 4000, "seconds": 2.0, "items": 100_000, "nap": 1.0}
QUICK: Sizes = {"warm": 20, "calls": 200, "seconds": 0.2, "items": 2_000, "nap": 0.3}


def noop(pool: Contender, sizes: Sizes) -> Figures:
    """One caller, one call at a time; microseconds."""
    pool.start(2)
    answering(pool, 1)
    times = []
    for number in range(int(sizes["warm"] + sizes["calls"])):
        start = time.perf_counter_ns()
        pool.call("noop", {"x": 1})
        if number >= sizes["warm"]:
            times.append(time.perf_counter_ns() - start)
    times.sort()
    return {"p50": times[len(times) // 2] / 1e3, "p99": times[int(len(times) * 0.99)] / 1e3}


def flight(pool: Contender, sizes: Sizes) -> Figures:
    """64 no-ops in flight on two workers: calls a second, and the host's CPU time for one."""
    pool.start(2)
    answering(pool, 2)
    pool.flight(64, sizes["seconds"] / 10)
    cpu = time.process_time()
    calls, seconds = pool.flight(64, sizes["seconds"])
    return {"calls_s": calls / seconds, "host_cpu": (time.process_time() - cpu) / calls * 1e6}


def stream(pool: Contender, sizes: Sizes) -> Figures:
    """A generator of small dicts in the worker, read by the host; items a second."""
    pool.start(1)
    for _ in pool.stream(100):
        pass
    count, start = 0, time.perf_counter()
    for _ in pool.stream(int(sizes["items"])):
        count += 1
    if count != sizes["items"]:
        raise RuntimeError(f"{count} items arrived of {sizes['items']:.0f}")
    return {"items_s": count / (time.perf_counter() - start)}


def start(pool: Contender, sizes: Sizes, workers: int) -> Figures:
    """From before the library's import until every worker has answered; milliseconds."""
    begin = time.perf_counter()
    pool.start(workers)
    answering(pool, workers)
    return {"ms": (time.perf_counter() - begin) * 1e3}


def idle(pool: Contender, sizes: Sizes) -> Figures:
    """PSS of an idle worker in MiB, with the shim that stands beside it where there is one.

    What a contender starts once for all its workers (a resource tracker) is listed apart.
    """
    pool.start(2)
    workers = answering(pool, 2)
    gc.collect()
    mine = descendants(os.getpid())
    shims = {parent for child, parent in mine.items() if child in workers and parent in mine}
    ours = workers | shims
    return {
        "worker": sum(pss(pid) for pid in ours) / len(workers),
        "shared": sum(pss(pid) for pid in mine if pid not in ours),
    }


def death(pool: Contender, sizes: Sizes) -> Figures:
    """A busy worker gets SIGKILL. When does its caller know, who else suffers, what comes next?

    Milliseconds; ``inf`` where nothing came in time. ``harmed``: of one call that ran on the other
    worker and four that waited.
    """
    pool.start(2)
    answering(pool, 2)
    with tempfile.TemporaryDirectory() as folder:
        bystander = pool.submit("nap", {"file": f"{folder}/other", "seconds": sizes["nap"]})
        started(Path(folder, "other"))
        victim = pool.submit("nap", {"file": f"{folder}/victim", "seconds": 60.0})
        pid = started(Path(folder, "victim"))
        waiting = [pool.submit("noop", {"x": 1}) for _ in range(4)]
        told = Watch(victim)
        os.kill(pid, signal.SIGKILL)
        error_ms = told.failed_after()
        harmed = sum(not succeeds(call) for call in [bystander, *waiting])

        try:
            victim = pool.submit("nap", {"file": f"{folder}/second", "seconds": 60.0})
            pid = started(Path(folder, "second"))
            told = Watch(victim)
            os.kill(pid, signal.SIGKILL)
            told.failed_after()
            begin = time.perf_counter()
            pool.call("noop", {"x": 1})
            next_ms = (time.perf_counter() - begin) * 1e3
        except Exception:  # the pool died with its worker: that is the finding
            next_ms = float("inf")
    return {"error_ms": error_ms, "next_ms": next_ms, "harmed": harmed}


class Watch:
    """Waits for a call in a thread of its own, so that nothing delays the time of its end."""

    def __init__(self, call: Result) -> None:
        self._call = call
        self._ended: float | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()
        self._begin = time.perf_counter()

    def _wait(self) -> None:
        try:
            self._call.result(10)
        except TimeoutError:
            return
        except Exception:
            self._ended = time.perf_counter()

    def failed_after(self) -> float:
        self._thread.join()
        return float("inf") if self._ended is None else (self._ended - self._begin) * 1e3


def succeeds(call: Result) -> bool:
    with contextlib.suppress(Exception):
        call.result(10)
        return True
    return False


def started(file: Path) -> int:
    """Wait until the nap has written its pid."""
    deadline = time.monotonic() + 30
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the task did not start")
        time.sleep(0.002)
    return int(file.read_text())


def answering(pool: Contender, workers: int) -> set[int]:
    """Call until so many workers have answered; the bare pipe has one, which tells no pid."""
    if isinstance(pool, Pipe):
        pool.call("noop", {"x": 1})
        return set()
    pids: set[int] = set()
    deadline = time.monotonic() + 60
    while len(pids) < workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(pids)} of {workers} workers answered")
        calls = [pool.submit("pid", {"seconds": 0.01}) for _ in range(2 * workers)]
        pids |= {call.result(60) for call in calls}
    return pids
