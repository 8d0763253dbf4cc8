"""Slow damage: workers that leak, readers that are slow or gone, observers that never rest."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from statistics import median

import snakepit
from snakepit import Recycle, SnakepitError, WorkerDied

from .figures import Figure, exactly, none, shown, spread
from .hosts import FAULTY, gates
from .processes import resident_bytes, until
from .worker_faults import Load

MIB = 1 << 20
WINDOW = 1024
"""Items that a worker may be ahead of the reader, as documented."""


def leaking(seconds: float, size: int = 4) -> Iterator[Figure]:
    """Row 20: each call leaks a mebibyte. Workers are replaced in turn, and no call fails."""
    errors: list[BaseException] = []
    answered = [0]
    most = 0
    stop = threading.Event()
    with snakepit.Pool(FAULTY, size=size, recycle=Recycle(memory=100 * MIB), timeout=60) as pool:
        pool.await_ready(60)

        def call() -> None:
            while not stop.is_set():
                try:
                    pool.execute("leak", {"size": MIB, "pause": 0.02})
                    answered[0] += 1
                except SnakepitError as error:
                    errors.append(error)

        threads = [threading.Thread(target=call) for _ in range(2 * size)]
        for thread in threads:
            thread.start()
        a_second = []
        begin = time.monotonic()
        while (took := time.monotonic() - begin) < 60 + seconds:
            # A busy machine may leak more slowly.
            if took > seconds and pool.stats().restart_reasons.get("recycle_memory", 0) >= 2:
                break
            before = answered[0]
            window = time.monotonic() + 1
            while time.monotonic() < window:
                states = [worker.state for worker in pool.list_workers()]
                most = max(most, sum(state in ("starting", "stopping") for state in states))
                time.sleep(0.01)
            a_second.append(answered[0] - before)
        stop.set()
        for thread in threads:
            thread.join()
        recycled = pool.stats().restart_reasons.get("recycle_memory", 0)
    yield shown("calls", answered[0])
    yield Figure("workers recycled for their memory", recycled, least=2)
    yield none("calls that failed", len(errors))
    yield Figure("slots without a ready worker at once", most, most=1)
    worst = 100 * min(a_second) / median(a_second)
    yield Figure(
        "throughput, worst second beside the median", worst, "%", least=75, promise="quiet"
    )


def reader_gone(rounds: int, items: int) -> Iterator[Figure]:
    """Row 23: a reader of a stream is slow, then stops reading, then is gone."""
    ahead: list[int] = []
    closed: list[float] = []
    with snakepit.Pool(FAULTY, size=1) as pool, gates() as folder:
        pid = pool.execute("pid", timeout=60)
        grown = _read_slowly(pool, pid, items, str(folder / "slowly"))
        for number in range(rounds):
            progress, ended = folder / f"progress-{number}", folder / f"ended-{number}"
            args = {"progress": str(progress), "ended": str(ended)}
            stream = pool.execute_stream("count", args)
            for _ in range(10):
                next(stream)
            ahead.append(_standstill(lambda progress=progress: int(progress.read_text())) - 10)
            begin = time.monotonic()
            if number % 2:
                stream.close()
            del stream  # Which is all that a reader does who forgets it.
            until(ended.exists, "the generator is closed")
            closed.append(1000 * (time.monotonic() - begin))
        same = pool.execute("pid", timeout=60) == pid
    yield shown("items to a slow reader", items)
    for where, growth in zip(("the worker", "the host"), grown, strict=True):
        yield Figure(f"memory that {where} grows by meanwhile", growth / 2**20, "MiB", most=5)
    yield shown("streams", rounds)
    yield Figure("items ahead of the reader", max(ahead), most=2 * WINDOW)
    yield from spread("reader gone → generator closed", closed, 50, "ms")
    yield exactly("worker serves on", int(same), 1)


def _read_slowly(pool: snakepit.Pool, pid: int, items: int, path: str) -> tuple[int, int]:
    """By how many bytes the worker and this process grow while that many items are read more slowly
    than they are made."""
    stream = pool.execute_stream("count", {"progress": path, "ended": path + "-ended"})
    for _ in range(2 * WINDOW):
        next(stream)
    before = after = resident_bytes(pid), resident_bytes()
    for number in range(items):
        next(stream)
        if not number % 20:
            time.sleep(0.001)
        if not number % 1000:
            after = max(after[0], resident_bytes(pid)), max(after[1], resident_bytes())
    stream.close()
    return after[0] - before[0], after[1] - before[1]


def _standstill(read: object) -> int:
    """What ``read`` gives once it gives the same for a while."""
    assert callable(read)
    last, since = read(), time.monotonic()
    while time.monotonic() - since < 0.2:
        time.sleep(0.01)
        if (now := read()) != last:
            last, since = now, time.monotonic()
    return int(last)


def observed(seconds: float) -> Iterator[Figure]:
    """Row 25: callbacks on every end of a call, a log handler on every line of a worker, and
    threads that ask for all there is to know, while workers are killed. Nobody waits for nobody."""
    stop = threading.Event()
    told = [0]
    asked = [0]
    longest = 0.0

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pool.stats()  # From the thread that brings the lines.
            told[0] += 1

    logger, handler = logging.getLogger("snakepit.worker"), Handler()
    logger.addHandler(handler)
    with snakepit.Pool(FAULTY, size=2, worker_output="log", timeout=60) as pool:
        pool.await_ready(60)
        monitor = snakepit.HealthMonitor(pool)

        def scrape() -> None:
            while not stop.is_set():
                pool.stats(), pool.health(), pool.list_workers(), monitor.stats()
                asked[0] += 1

        def callback(_: object) -> None:
            pool.health()
            told[0] += 1

        scrapers = [threading.Thread(target=scrape) for _ in range(2)]
        for thread in scrapers:
            thread.start()
        with Load(pool, callers=2) as load:
            end = time.monotonic() + seconds
            next_kill = time.monotonic()
            while (now := time.monotonic()) < end:
                if now > next_kill:
                    load.kill_one()
                    next_kill = now + 0.5
                future = pool.submit("pid", idempotent=True)
                future.add_done_callback(callback)
                begin = time.monotonic()
                with contextlib.suppress(WorkerDied):  # Twice under it: told, and no stall.
                    future.result(30)
                longest = max(longest, time.monotonic() - begin)
        stop.set()
        for thread in scrapers:
            thread.join()
    logger.removeHandler(handler)
    yield shown("seconds", seconds, "s")
    yield Figure("callbacks", told[0], least=1)
    yield Figure("questions", asked[0], least=1)
    yield Figure("workers killed meanwhile", len(load.killed), least=1)
    yield none("bystanders harmed", len(load.harmed))
    yield Figure("longest wait of a call", longest, "s", most=1, promise="quiet")
