"""Calls that kill their workers and are made again: retries must not make it worse."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snakepit
from snakepit import CircuitBreaker, CircuitOpen, RetryPolicy, WorkerDied

from .figures import Figure, exactly, none, shown
from .hosts import gates
from .processes import until

SIZE = 6
RETRY_COST = 14
"""Tokens of a pool's budget. A success puts one back."""
CAPACITY = 500
"""Tokens with which it begins."""


def retry_storm(calls: int) -> Iterator[Figure]:
    """Row 29: half of the attempts kill their worker, then all; once the budget of retries is
    empty, the workers have hardly more to bear than was asked of them. Then it heals."""
    with gates() as folder:
        storm = _Storm(folder)
        with storm.pool() as pool:
            storm.part(50)
            half, _ = storm.calls(pool, calls)
            retried = pool.stats().retries
            paid = (CAPACITY + pool.stats().completed) // RETRY_COST
            storm.part(100)
            while pool.stats().retry_tokens >= RETRY_COST:
                storm.calls(pool, pool.size)
            empty, refused = storm.calls(pool, calls)
            storm.part(0)
            begin = time.monotonic()
            healed = storm.calls(pool, 20)[0]
            took = time.monotonic() - begin
        least = storm.least
        yield from _breaker(storm)
    yield shown("calls in each part", calls)
    yield Figure("attempts a call, half of them deadly", half, most=1.7)
    yield none("… retries beyond what the budget pays for", max(0, retried - paid))
    yield Figure("attempts a call, budget empty", empty, most=1.1)
    yield Figure("retries refused for the budget", refused, least=1)
    yield Figure("slots that were not left out, at least", least, least=SIZE - SIZE // 2)
    yield exactly("attempts a call, healed", healed, 1)
    yield Figure("healed → twenty answers", took, "s", most=5, promise="quiet")


class _Storm:
    def __init__(self, folder: Path) -> None:
        self._part = folder / "part"
        self._attempts = folder / "attempts"
        self._attempts.touch()
        self.least = SIZE

    def part(self, percent: int) -> None:
        new = self._part.with_suffix(".new")
        new.write_text(str(percent))
        os.replace(new, self._part)

    def attempts(self) -> int:
        return self._attempts.stat().st_size

    def pool(self, **options: Any) -> snakepit.Pool:
        return snakepit.Pool(
            "faults.adapters:Failing",
            size=SIZE,
            adapter_args={"part": str(self._part), "attempts": str(self._attempts)},
            retry=RetryPolicy(max_attempts=2, backoff=[0.01], idempotent=True),
            worker_output="drop",
            timeout=60,
            **options,
        )

    def calls(self, pool: Any, count: int) -> tuple[float, int]:
        """Attempts a call, and calls that were not made again for want of tokens."""
        before, refused = self.attempts(), pool.stats().retries_refused
        for first in range(0, count, pool.size):
            self._settle(pool)
            batch = [pool.submit("attempt") for _ in range(first, min(count, first + pool.size))]
            for call in batch:
                with contextlib.suppress(WorkerDied):
                    call.result(60)
            slots = [worker.breaker != "open" for worker in pool.list_workers()]
            self.least = min(self.least, sum(slots))
        return (self.attempts() - before) / count, pool.stats().retries_refused - refused

    def _settle(self, pool: Any) -> None:
        """All slots filled, by workers that have answered: else their deaths count as failed
        starts, which are spaced, and the fault would be another one."""
        until(lambda: pool.stats().ready == pool.size, "all slots are filled")
        for answer in [pool.submit("work", {"seconds": 0.005}) for _ in range(pool.size)]:
            answer.result(60)


def _breaker(storm: _Storm) -> Iterator[Figure]:
    """A pool's breaker refuses without any attempt, and one probe is enough to close it."""
    reset, refused = 0.5, 0
    breaker = CircuitBreaker(failure_threshold=3, reset_timeout=reset)
    with storm.pool(circuit_breaker=breaker) as pool:
        pool.await_ready(60)
        storm.part(100)
        while breaker.state == "closed":
            with contextlib.suppress(WorkerDied):
                pool.execute("attempt")
        attempts = storm.attempts()
        while breaker.state == "open":
            try:
                pool.execute("attempt", timeout=0.001)
            except CircuitOpen:
                refused += 1
            except snakepit.SnakepitError:
                break  # It has become half open in between, and this was a probe.
            time.sleep(0.01)
        during = storm.attempts() - attempts
        storm.part(0)
        begin = time.monotonic()
        until(lambda: _answers(pool), "it heals", 60)
        took = time.monotonic() - begin
    yield Figure("calls refused by the open breaker", refused, least=1)
    yield none("attempts while it was open", max(0, during - 2))
    yield Figure("cause gone → breaker closed", took, "s", most=reset + 1, promise="quiet")


def _answers(pool: Any) -> bool:
    try:
        pool.execute("attempt", timeout=60)
    except (CircuitOpen, WorkerDied):
        return False
    return True
