"""The death of a worker fails the calls that it had begun, tells how, and the slot is refilled."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from snakepit import CallTimeout, SnakepitError, WorkerDied

from .conftest import Gates, until

DEATHS = [("3", 3, None), ("SIGKILL", None, "SIGKILL"), ("SIGSEGV", None, "SIGSEGV")]


@pytest.mark.parametrize(("how", "exit_code", "name"), DEATHS)
def test_the_caller_is_told_how(pool: Any, how: str, exit_code: Any, name: Any) -> None:
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": how})
    error = caught.value
    assert (error.exit_code, error.signal) == (exit_code, name)
    assert error.may_have_run is True
    assert error.tool == "die"
    assert f"about to die by {how}" in (error.stderr or "")
    assert f"about to die by {how}" in str(error)
    assert error.worker in {worker.ref for worker in pool.list_workers()} or error.worker
    for _ in range(20):
        assert pool.execute("ping") == "pong"
    until(lambda: pool.stats().ready == 2, "the slot is refilled")
    assert pool.stats().worker_deaths == 1
    assert pool.stats().restarts == 1


@pytest.mark.parametrize(("how", "exit_code", "name"), DEATHS)
def test_a_bystander_is_not_harmed(
    pool: Any, gates: Gates, how: str, exit_code: Any, name: Any
) -> None:
    bystander = pool.submit("hold", {"started": gates("started"), "release": gates("go")})
    gates.wait("started")
    with pytest.raises(WorkerDied):
        pool.execute("die", {"how": how})
    assert not bystander.done()
    gates.open("go")
    assert bystander.result(30) > 0


@pytest.fixture
def ahead(make_pool: Any) -> Any:
    """One worker, so quick by experience that calls are sent ahead to it."""
    pool = make_pool(size=1)
    pool.await_ready(60)
    return pool


def warm_up(pool: Any) -> None:
    for _ in range(20):
        pool.execute("ping")


@pytest.mark.parametrize("size", [100, 200_000, 5_000_000])
def test_replies_arrive_though_the_next_call_ends_their_worker(ahead: Any, size: int) -> None:
    for _ in range(4):
        warm_up(ahead)
        replies = [ahead.submit("large", {"size": size}) for _ in range(3)]
        dying = ahead.submit("die", {"how": "3"})
        assert [len(reply.result(60)) for reply in replies] == [size] * 3
        assert isinstance(dying.exception(60), WorkerDied)


@pytest.mark.parametrize(("number", "size"), [(1, 0), (200, 10), (200, 50_000)])
def test_a_stream_ends_well_though_the_next_call_ends_its_worker(
    ahead: Any, number: int, size: int
) -> None:
    for _ in range(4):
        warm_up(ahead)
        stream = ahead.execute_stream("blobs", {"number": number, "size": size})
        dying = ahead.submit("die", {"how": "SIGKILL"})
        assert [len(blob) for blob in stream] == [size] * number
        assert isinstance(dying.exception(60), WorkerDied)


def test_a_kill_for_a_call_that_outlived_its_grace_never_meets_the_next_one(
    make_pool: Any, gates: Gates
) -> None:
    timeout = grace = 0.1
    pool = make_pool(size=1, grace=grace)
    pool.await_ready(60)
    for attempt in range(10):
        warm_up(pool)
        late, next_one = gates(f"late{attempt}"), gates(f"next{attempt}")
        outlives = pool.submit("hold", {"release": late}, timeout=timeout)
        begun = time.monotonic()
        bystander = pool.submit("hold", {"release": next_one})
        # It ends about when the host decides to kill its worker: at times before, at times after.
        time.sleep(max(0.0, begun + timeout + grace - time.monotonic()) + attempt / 1000)
        gates.open(f"late{attempt}")
        time.sleep(0.05)  # what a kill that comes late would need to meet the next one
        gates.open(f"next{attempt}")
        assert bystander.result(60) > 0
        assert isinstance(outlives.exception(60), CallTimeout)


def test_killed_from_outside(pool: Any, gates: Gates) -> None:
    call = pool.submit("hold", {"started": gates("started"), "release": gates("never")})
    gates.wait("started")
    busy = next(worker for worker in pool.list_workers() if worker.state == "busy")
    os.kill(busy.pid, signal.SIGKILL)
    error = call.exception(30)
    assert isinstance(error, WorkerDied)
    assert (error.signal, error.worker) == ("SIGKILL", busy.ref)


def test_an_idle_worker_that_dies_is_replaced_and_harms_nobody(pool: Any) -> None:
    before = [worker.pid for worker in pool.list_workers()]
    os.kill(before[0], signal.SIGKILL)
    until(
        lambda: pool.stats().ready == 2 and pool.list_workers()[0].pid != before[0],
        "the slot is refilled",
    )
    assert pool.execute("ping") == "pong"
    assert pool.stats().errors == 0


def test_calls_that_waited_run_on_the_next_worker(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    dying = pool.submit(
        "die", {"how": "SIGKILL", "started": gates("started"), "release": gates("go")}
    )
    gates.wait("started")
    waiting = [pool.submit("add", {"a": n, "b": 1}) for n in range(50)]
    gates.open("go")
    assert isinstance(dying.exception(30), WorkerDied)
    assert [call.result(60) for call in waiting] == list(range(1, 51))


def test_an_idempotent_call_is_tried_again(pool: Any, gates: Gates) -> None:
    # The first try creates the file and dies later; the second cannot create it, and says so.
    call = pool.submit(
        "die",
        {"how": "SIGKILL", "started": gates("started"), "release": gates("go")},
        idempotent=True,
    )
    gates.wait("started")
    gates.open("go")
    assert isinstance(call.exception(60), FileExistsError)


def test_kill_under_load(pool: Any) -> None:
    """Every call ends, with a result or with ``WorkerDied``, whatever is killed meanwhile."""
    stop = threading.Event()
    outcomes: list[str] = []
    failures: list[BaseException] = []

    def work(base: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                assert pool.execute("add", {"a": base, "b": number}) == base + number
                outcomes.append("done")
            except WorkerDied as error:
                outcomes.append(f"died of {error.signal}")
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=work, args=(n * 10**6,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        victim = until(
            lambda: next(
                (w for w in pool.list_workers() if w.pid and w.state in ("ready", "busy")), None
            ),
            "a worker to kill",
        )
        os.kill(victim.pid, signal.SIGKILL)
        until(
            lambda gone=victim.ref: gone not in {w.ref for w in pool.list_workers() if w.pid},
            "its slot is refilled",
        )
    stop.set()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert set(outcomes) <= {"done", "died of SIGKILL"}
    assert outcomes.count("done") > 10
    assert pool.stats().worker_deaths == 10
    assert pool.execute("ping") == "pong"


def test_a_worker_that_always_dies_does_not_stop_the_pool(pool: Any) -> None:
    for _ in range(8):
        with pytest.raises(SnakepitError):
            pool.execute("die", {"how": "1"})
    assert pool.execute("ping", timeout=60) == "pong"


@pytest.mark.parametrize("detached", [False, True])
def test_children_of_a_dead_worker_are_gone(make_pool: Any, detached: bool) -> None:
    pool = make_pool("pool.adapters:StartsChildren", size=1)
    child = pool.execute("spawn", {"detached": detached})
    os.kill(pool.list_workers()[0].pid, signal.SIGKILL)

    def gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone, "the grandchild is gone")


def test_a_shim_that_is_killed(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    call = pool.submit("hold", {"started": gates("started"), "release": gates("never")})
    gates.wait("started")
    worker = pool.list_workers()[0].pid
    with open(f"/proc/{worker}/stat") as stat:
        shim = int(stat.read().rpartition(")")[2].split()[1])
    assert shim != os.getpid()
    os.kill(shim, signal.SIGKILL)
    error = call.exception(30)
    assert isinstance(error, WorkerDied)
    assert "shim" in str(error)
    assert pool.execute("ping", timeout=60) == "pong", "a new worker took the slot"
