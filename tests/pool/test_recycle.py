"""Workers are replaced before they do harm, and no call fails for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from snakepit import Recycle, SessionLost

from .conftest import Gates, until

MIB = 1024 * 1024


def under_load(pool: Any, tool: str, args: dict[str, Any], stop: Callable[[], bool]) -> list[Any]:
    """Call from four threads until ``stop``; what the calls returned. Their errors are raised."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            while not stop():
                results.append(pool.execute(tool, args, timeout=60))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors, errors
    return results


def test_a_leaking_worker_is_replaced_under_load_and_no_call_fails(
    make_pool: Callable[..., Any],
) -> None:
    pool = make_pool(recycle=Recycle(memory=60 * MIB), timeout=60)
    pool.await_ready(60)

    # With its pause a worker hoards some 100 MiB a second at most, whatever the machine can do.
    pids = under_load(
        pool,
        "hoard",
        {"size": MIB, "pause": 0.01},
        lambda: pool.stats().restart_reasons.get("recycle_memory", 0) >= 2,
    )
    assert len({*pids}) >= 3
    assert (pool.stats().errors, pool.stats().worker_deaths) == (0, 0)


def test_growth_is_relative_to_a_fresh_worker(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=1, recycle=Recycle(memory_growth=3.0))
    pool.await_ready(60)
    assert pool.execute("pid") == pool.list_workers()[0].pid
    pool.execute("hoard", {"size": 200 * MIB})
    until(lambda: pool.stats().restart_reasons == {"recycle_memory": 1}, "it has grown too much")
    assert pool.execute("ping") == "pong"


def test_calls_use_a_worker_up(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(recycle={"calls": 50})
    pool.await_ready(60)
    pids = under_load(
        pool, "pid", {}, lambda: pool.stats().restart_reasons.get("recycle_calls", 0) >= 4
    )
    assert len({*pids}) >= 5
    assert (pool.stats().errors, pool.stats().worker_deaths) == (0, 0)
    until(lambda: pool.health().healthy, "two serve")
    assert pool.health().total_crashes == 0


def test_a_limit_that_a_fresh_worker_passes_is_told_and_replaces_nobody(
    make_pool: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(size=2, recycle=Recycle(memory=MIB))
    pool.await_ready(60)
    until(lambda: "recycle.memory is 1048576" in caplog.text, "it says why")
    assert caplog.text.count("recycle.memory") == 1
    assert pool.execute("ping") == "pong"
    # Workers are weighed once a second.
    until(lambda: pool.health().workers[0].since > 1.5, "they have been weighed again")
    assert (pool.stats().restarts, pool.health().status) == (0, "healthy")


def test_every_worker_has_its_turn(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=3, recycle={"calls": 20})
    pool.await_ready(60)
    generations = lambda: [worker.ref.generation for worker in pool.list_workers()]  # noqa: E731
    under_load(pool, "ping", {}, lambda: min(generations()) >= 3)


def test_age_ends_a_worker(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=1, recycle=Recycle(age=0.3))
    pool.await_ready(60)
    until(lambda: pool.stats().restart_reasons.get("recycle_age", 0) >= 1, "it is old")
    assert pool.execute("ping") == "pong"


def test_a_replacement_is_ready_before_the_old_one_goes(
    make_pool: Callable[..., Any], gates: Gates
) -> None:
    pool = make_pool(size=1, recycle=Recycle())
    pool.await_ready(60)
    old = pool.list_workers()[0]
    call = pool.submit("hold", {"started": gates("started"), "release": gates("go")})
    gates.wait("started")
    pool.recycle(old.ref)
    until(lambda: pool.list_workers()[0].ref.generation > 1, "another one has its number")
    assert pool.execute("place") == ["default", 0, pool.list_workers()[0].ref.generation]
    gates.open("go")
    assert call.result(30) == old.pid
    until(lambda: pool.stats().restart_reasons == {"recycle_request": 1}, "the old one is gone")


def test_sessions_keep_their_worker_for_a_while_and_are_told_why_it_went(
    make_pool: Callable[..., Any],
) -> None:
    pool = make_pool(size=1, recycle=Recycle(session_drain=1.0))
    pool.await_ready(60)
    session = pool.session("s")
    home = session.execute("remember", {"key": "k", "value": 7})
    pool.recycle(pool.list_workers()[0].ref)
    until(lambda: pool.list_workers()[0].ref.generation > 1, "another one has its number")
    assert session.execute("recall", {"key": "k"}) == 7
    assert pool.execute("pid") != home
    until(lambda: pool.stats().restart_reasons == {"recycle_request": 1}, "its time is up")
    with pytest.raises(SessionLost):
        session.execute("recall", {"key": "k"})


def test_workers_start_in_batches(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=8, startup_batch_size=2, startup_batch_delay=0.01)
    most = 0

    def ready() -> bool:
        nonlocal most
        workers = pool.list_workers()
        most = max(most, sum(w.state == "starting" and w.pid is not None for w in workers))
        return all(worker.state == "ready" for worker in workers)

    until(ready, "all are ready", 60)
    assert 1 <= most <= 2


def test_a_start_that_waits_for_its_turn_is_not_late(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(
        "pool.adapters:StartsSlowly", size=6, startup_batch_size=1, start_timeout=3.3, timeout=60
    )
    pool.await_ready(60)
    assert pool.stats().restart_reasons == {}
    # The last one began when the others were through, each of which took 0.6 s at least.
    assert pool.health().workers[0].since > 3.0
