"""Pools while their workers fail: retries, breakers, the crash barrier, a queue that is full."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import snakepit
from snakepit import (
    Backoff,
    CircuitBreaker,
    CircuitOpen,
    ConfigError,
    CrashBarrier,
    PoisonCall,
    QueueFull,
    RetryBudget,
    RetryPolicy,
    WorkerBreaker,
    WorkerDied,
)
from snakepit.executor import (
    execute_batch,
    execute_with_protection,
    execute_with_retry,
    execute_with_timeout,
)

from .conftest import BASIC, Gates, until

# Seconds that no test lasts: what is to happen only after them does not happen in one.
NEVER = 3600.0


def ready(pool: Any) -> None:
    until(lambda: pool.stats().ready == pool.size, "every slot is filled")


# --- retry ----------------------------------------------------------------------------------------


def test_a_call_runs_once_unless_it_is_idempotent(pool: Any, gates: Gates) -> None:
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die_once", {"mark": gates("once")})
    assert caught.value.may_have_run is True
    assert pool.execute("die_once", {"mark": gates("twice")}, idempotent=True) > 0
    stats = pool.stats()
    assert (stats.retries, stats.retries_refused, stats.quarantined) == (1, 0, 0)
    assert stats.retry_tokens == 500 - 14 + 1


def test_a_call_under_which_two_workers_died_is_quarantined(pool: Any) -> None:
    with pytest.raises(PoisonCall) as caught:
        pool.execute("die", {"how": "SIGKILL"}, idempotent=True)
    assert caught.value.signal == "SIGKILL"
    assert caught.value.may_have_run is True
    assert (pool.stats().quarantined, pool.stats().retries) == (1, 1)
    assert pool.execute("ping") == "pong"


def test_the_policy_of_a_pool_and_that_of_a_call(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(retry=RetryPolicy(backoff=[0.3], jitter=False, idempotent=True))
    pool.await_ready(60)
    began = time.monotonic()
    assert pool.execute("die_once", {"mark": gates("a")}) > 0
    assert time.monotonic() - began >= 0.3, "it rested"

    once = RetryPolicy(max_attempts=1)
    with pytest.raises(WorkerDied):
        pool.execute("die_once", {"mark": gates("b")}, retry=once)
    with pytest.raises(WorkerDied):
        pool.submit("die_once", {"mark": gates("c")}, retry=once).result(30)


def test_no_retry_begins_after_the_deadline(make_pool: Any, gates: Gates) -> None:
    rest = Backoff(base=2 * NEVER, max=2 * NEVER)
    pool = make_pool(retry=RetryPolicy(backoff=rest, jitter=False))
    pool.await_ready(60)
    with pytest.raises(WorkerDied):  # and no CallTimeout an hour later
        pool.execute("die_once", {"mark": gates("a")}, timeout=NEVER, idempotent=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retry": RetryPolicy(retriable=ValueError)}, "retriable"),
        ({"retry": RetryPolicy(budget=RetryBudget())}, "budget"),
        ({"retry": 3}, "RetryPolicy"),
        ({"circuit_breaker": CircuitBreaker(exclude=ValueError)}, "count_remote_errors"),
        ({"circuit_breaker": 5}, "CircuitBreaker"),
        ({"crash_barrier": CrashBarrier(max_restarts=2)}, "max_restarts"),
        ({"crash_barrier": CrashBarrier(taint=-1)}, "taint"),
        ({"crash_barrier": True}, "CrashBarrier"),
        ({"max_queue_bytes": 0}, "max_queue_bytes"),
    ],
)
def test_what_cannot_guard_a_pool_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        snakepit.Pool(BASIC, size=1, **options)


# --- breakers -------------------------------------------------------------------------------------


def let_it_die(pool: Any, gates: Gates, times: int) -> None:
    gates.open("ill")
    for _ in range(times):
        with pytest.raises(WorkerDied):
            pool.execute("die_while", {"mark": gates("ill")})
    os.remove(gates("ill"))


def test_the_breaker_of_a_pool_opens(make_pool: Any, gates: Gates) -> None:
    breaker = CircuitBreaker(failure_threshold=3, reset_timeout=NEVER)
    pool = make_pool(circuit_breaker=breaker)
    pool.await_ready(60)
    let_it_die(pool, gates, 2)
    assert pool.execute("ping") == "pong"
    let_it_die(pool, gates, 2)
    assert (breaker.state, breaker.stats().total_opened) == ("closed", 0), "not in a row"
    let_it_die(pool, gates, 1)
    with pytest.raises(CircuitOpen) as caught:
        pool.execute("ping")
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= NEVER
    assert caught.value.may_have_run is False
    assert (caught.value.pool, breaker.state) == (pool.name, "open")
    assert (pool.stats().circuit, pool.stats().shed) == ("open", 1)


@pytest.mark.parametrize("reset_timeout", [0.0, 0.05])
def test_the_breaker_of_a_pool_heals(make_pool: Any, gates: Gates, reset_timeout: float) -> None:
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=reset_timeout)
    pool = make_pool(circuit_breaker=breaker)
    pool.await_ready(60)
    let_it_die(pool, gates, 1)
    assert breaker.stats().total_opened == 1
    until(lambda: breaker.state == "half_open", "the reset timeout passes")
    assert pool.execute("die_while", {"mark": gates("ill")}) == "well"
    assert (breaker.state, breaker.stats().total_opened) == ("closed", 1)


@pytest.mark.parametrize("count", [False, True])
def test_what_tools_raise_counts_where_it_is_asked_for(make_pool: Any, count: bool) -> None:
    breaker = CircuitBreaker(failure_threshold=2, count_remote_errors=count)
    pool = make_pool(size=1, circuit_breaker=breaker)
    for _ in range(2):
        with pytest.raises(KeyError):
            pool.execute("fail", {"kind": "KeyError"})
    assert breaker.state == ("open" if count else "closed")


def test_a_probe_that_is_cancelled_frees_its_place(make_pool: Any, gates: Gates) -> None:
    breaker = CircuitBreaker(failure_threshold=1, reset_timeout=0)
    pool = make_pool(circuit_breaker=breaker)
    with pytest.raises(WorkerDied):
        pool.execute("die", {"how": "3"})
    probe = pool.submit("hold", {"release": gates("never"), "started": gates("s")})
    gates.wait("s")
    with pytest.raises(CircuitOpen):
        pool.execute("ping")
    assert probe.cancel()
    assert pool.execute("ping") == "pong"
    assert breaker.state == "closed"


def session_in(pool: Any, slot: int) -> Any:
    """A new one that lives in that slot."""
    ready(pool)
    while True:
        session = pool.session(f"{time.monotonic()}")
        if session.execute("place")[1] == slot:
            return session


def kill_the_worker_of(pool: Any, slot: int) -> None:
    with pytest.raises(WorkerDied):
        session_in(pool, slot).execute("die", {"how": "SIGKILL"})


def breakers(pool: Any) -> list[str]:
    return [worker.breaker for worker in pool.list_workers()]


@pytest.mark.parametrize(
    ("breaker", "deaths"),
    [
        # Each worker of it answers once at most and dies: half of its calls.
        ({"reset_timeout": NEVER}, 8),
        (WorkerBreaker(window=4, failure_rate=0.5, reset_timeout=NEVER), 4),
        # The answers that it gave beforehand do not count where one failure is enough.
        (WorkerBreaker(failure_threshold=1, reset_timeout=NEVER), 1),
    ],
)
def test_a_slot_whose_workers_keep_dying_is_left_out(
    make_pool: Any, breaker: Any, deaths: int
) -> None:
    pool = make_pool(size=2, worker_breaker=breaker)
    pool.await_ready(60)
    for _ in range(deaths):
        if breakers(pool)[0] == "open":
            break
        kill_the_worker_of(pool, 0)
    ready(pool)
    assert breakers(pool) == ["open", "closed"]
    assert pool.stats().barred == 1
    slots = {pool.execute("place")[1] for _ in range(20)}
    assert slots == {1}


def test_a_slot_is_trusted_again_by_an_answer(make_pool: Any) -> None:
    pool = make_pool(size=2, worker_breaker={"failure_threshold": 1, "reset_timeout": 0})
    pool.await_ready(60)
    kill_the_worker_of(pool, 0)
    until(lambda: breakers(pool)[0] == "half_open", "it is tried again")
    ready(pool)
    assert pool.execute("place")[1] == 0, "the probe goes first"
    assert breakers(pool) == ["closed", "closed"]


def test_without_a_breaker_of_slots_none_is_barred(make_pool: Any) -> None:
    pool = make_pool(size=2, worker_breaker=None)
    pool.await_ready(60)
    for _ in range(6):
        kill_the_worker_of(pool, 0)
    ready(pool)
    assert breakers(pool) == ["closed", "closed"]
    assert pool.execute("place")[1] == 0


def test_a_cancel_that_kills_its_worker_bars_no_slot(make_pool: Any, gates: Gates) -> None:
    breaker = WorkerBreaker(failure_threshold=1, reset_timeout=NEVER)
    pool = make_pool(size=2, grace=0, worker_breaker=breaker)
    pool.await_ready(60)
    for n in range(3):
        call = session_in(pool, 0).submit(
            "hold", {"started": gates(f"s{n}"), "release": gates("never")}
        )
        gates.wait(f"s{n}")
        assert call.cancel()
        until(lambda n=n: pool.stats().worker_deaths == n + 1, "its worker is killed")
    ready(pool)
    assert breakers(pool) == ["closed", "closed"]
    kill_the_worker_of(pool, 0)
    assert breakers(pool) == ["open", "closed"], "but a death does"


def test_a_slot_is_tainted_by_a_crash_and_the_call_moves(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(crash_barrier=CrashBarrier(taint=NEVER, max_restarts=1))
    pool.await_ready(60)
    assert pool.execute("die_once", {"mark": gates("a")}, idempotent=True) > 0
    until(lambda: pool.stats().ready == 2, "the slot is refilled")
    tainted = [worker.ref.slot for worker in pool.list_workers() if worker.tainted]
    assert len(tainted) == 1
    slots = {pool.execute("place")[1] for _ in range(20)}
    assert slots == {1 - tainted[0]}, "an idle slot without a crash goes first"

    pool = make_pool(crash_barrier=CrashBarrier(max_restarts=0))
    with pytest.raises(WorkerDied):
        pool.execute("die_once", {"mark": gates("b")}, idempotent=True)


# --- the queue ------------------------------------------------------------------------------------


def test_a_queue_is_full_of_bytes_and_tells_when_to_come_again(
    make_pool: Any, gates: Gates
) -> None:
    pool = make_pool(size=1, max_queue_bytes=100_000)
    busy = pool.submit("hold", {"release": gates("go"), "started": gates("s")})
    gates.wait("s")
    waiting = [pool.submit("echo", {"value": b"x" * 60_000})]
    with pytest.raises(QueueFull) as caught:  # noqa: PT012
        for _ in range(5):  # One may wait at the worker already, not in the queue.
            waiting.append(pool.submit("echo", {"value": b"x" * 60_000}))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
    assert pool.stats().queued_bytes > 60_000
    assert pool.stats().shed == 1
    gates.open("go")
    assert busy.result(30) > 0
    assert [len(call.result(30)) for call in waiting] == [60_000] * len(waiting)
    assert pool.stats().queued_bytes == 0


def test_calls_that_wait_for_their_retry_are_in_the_queue(make_pool: Any, gates: Gates) -> None:
    rest = RetryPolicy(backoff=[NEVER], jitter=False, idempotent=True)
    pool = make_pool(size=1, max_queue=1, timeout=None, retry=rest)
    pool.await_ready(60)
    resting = pool.submit("die_once", {"mark": gates("a")})
    until(lambda: pool.stats().retries == 1, "its worker has died")
    ready(pool)
    assert (pool.stats().queued, pool.execute("ping")) == (1, "pong")
    busy = pool.submit("hold", {"release": gates("go"), "started": gates("s")})
    gates.wait("s")
    at_the_worker = []
    with pytest.raises(QueueFull):  # noqa: PT012
        for _ in range(1000):  # Some may wait at the worker, not in the queue.
            at_the_worker.append(pool.submit("ping"))
    assert pool.stats().queued == 1, "no other call waits in the queue"
    assert pool.stats().queued_bytes > 0
    assert resting.cancel()
    assert (pool.stats().queued, pool.stats().queued_bytes) == (0, 0)
    gates.open("go")
    assert busy.result(30) > 0
    assert [call.result(30) for call in at_the_worker] == ["pong"] * len(at_the_worker)


# --- asyncio --------------------------------------------------------------------------------------


def test_guards_under_asyncio(gates: Gates) -> None:
    async def main() -> None:
        breaker = CircuitBreaker(failure_threshold=2, reset_timeout=NEVER)
        retry = RetryPolicy(backoff=[0.01], idempotent=True)
        async with snakepit.AsyncPool(
            BASIC, size=2, grace=0.3, retry=retry, circuit_breaker=breaker
        ) as pool:
            await pool.await_ready(60)
            # One a worker: no call may wait behind one that kills.
            marks = [gates(f"mark{n}") for n in range(2)]
            calls = [pool.execute("die_once", {"mark": mark}) for mark in marks]
            assert all(pid > 0 for pid in await asyncio.gather(*calls))
            assert pool.stats().retries == 2

            once = RetryPolicy(max_attempts=1)
            gates.open("ill")
            for _ in range(2):
                with pytest.raises(WorkerDied):
                    await pool.execute("die_while", {"mark": gates("ill")}, retry=once)
            with pytest.raises(CircuitOpen):
                await pool.submit("ping")

        breaker = CircuitBreaker(failure_threshold=1, reset_timeout=0)
        async with snakepit.AsyncPool(
            BASIC, size=2, grace=0.3, circuit_breaker=breaker, worker_breaker=None
        ) as pool:
            with pytest.raises(WorkerDied):
                await pool.execute("die_while", {"mark": gates("ill")})
            assert breaker.state == "half_open"
            probe = asyncio.create_task(
                pool.execute("hold", {"release": gates("never"), "started": gates("s")})
            )
            while not gates.opened("s"):
                await asyncio.sleep(0.01)
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert await pool.execute("ping") == "pong", "the cancelled probe freed its place"
            assert breaker.state == "closed"

    asyncio.run(main(), debug=True)


# --- what the first Snakepit showed in its README, over a real pool -------------------------------


def test_helpers_over_a_pool(pool: Any, gates: Gates) -> None:
    breaker = CircuitBreaker(failure_threshold=5, reset_timeout=30.0)
    assert breaker.call(pool.execute, "ping") == "pong"
    assert breaker.state == "closed"

    assert execute_with_timeout(partial(pool.execute, "ping"), timeout=30) == "pong"

    def die_once(name: str) -> Callable[[], Any]:
        return partial(pool.execute, "die_once", {"mark": gates(name)})

    policy = RetryPolicy(max_attempts=3, backoff=[0.01, 0.02], jitter=True, idempotent=True)
    assert execute_with_retry(die_once("a"), policy) > 0
    assert execute_with_protection(breaker, die_once("b"), policy) > 0
    with pytest.raises(WorkerDied):
        execute_with_retry(die_once("c"), max_attempts=3)  # It may have run.

    outcomes = execute_batch(
        [partial(pool.execute, "add", {"a": n, "b": 1}) for n in range(4)]
        + [partial(pool.execute, "fail", {"kind": "ValueError"})],
        max_concurrency=2,
    )
    assert [outcome.result() for outcome in outcomes[:4]] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="no"):
        outcomes[4].result()
    assert breaker.stats().total_failures == 1
