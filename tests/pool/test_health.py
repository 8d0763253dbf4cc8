"""Truthful health: alive, progressing and ready are three facts, and none is guessed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

import snakepit
from snakepit import HealthMonitor, Heartbeat, StartError, WorkerDied

from .conftest import Gates, until

ADAPTERS = "pool.adapters"
QUICK = Heartbeat(interval=0.05, timeout=0.3)


def state(pool: Any, slot: int) -> str:
    return str(pool.list_workers()[slot].state)


@pytest.fixture(params=["native", "grpcio"])
def probed(make_pool: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    pool = make_pool(heartbeat=QUICK, line=request.param)
    pool.await_ready(60)
    return pool


def test_a_stopped_worker_stalls_and_recovers(probed: Any) -> None:
    assert probed.health().healthy
    stopped = probed.list_workers()[0]
    os.kill(stopped.pid, signal.SIGSTOP)
    until(lambda: state(probed, 0) == "stalled", "it does not answer")
    health = probed.health()
    facts = health.workers[0]
    assert (health.status, facts.alive, facts.progressing) == ("degraded", True, False)
    assert facts.ref == stopped.ref
    assert facts.last_progress is not None
    assert facts.last_progress > facts.since
    assert {probed.execute("pid") for _ in range(10)} == {probed.list_workers()[1].pid}
    os.kill(stopped.pid, signal.SIGCONT)
    until(lambda: state(probed, 0) == "ready", "it answers again")
    assert probed.health().healthy
    assert probed.stats().restarts == 0


def test_a_worker_that_holds_the_gil_is_stalled_and_not_killed(probed: Any, gates: Gates) -> None:
    os.mkfifo(gates("release"))
    held = probed.submit("seize", {"started": gates("started"), "release": gates("release")})
    gates.wait("started")
    until(lambda: probed.stats().ready == 1, "it does not answer")
    assert [probed.execute("ping") for _ in range(10)] == ["pong"] * 10
    with open(gates("release"), "w") as pipe:
        pipe.write("x")
    assert held.result(30) == "released"
    until(lambda: probed.stats().ready == 2, "it serves again")
    assert (probed.stats().restarts, probed.stats().worker_deaths) == (0, 0)


def test_a_worker_that_only_works_long_is_not_stalled(probed: Any, gates: Gates) -> None:
    call = probed.submit("hold", {"started": gates("started"), "release": gates("go")})
    gates.wait("started")
    slot = next(worker for worker in probed.health().workers if worker.state == "busy").ref.slot
    # Longer than a probe may take: signs of life come from probes alone.
    until(lambda: probed.health().workers[slot].since > 1.0, "it has been busy for long")
    facts = probed.health().workers[slot]
    assert (facts.state, facts.progressing) == ("busy", True)
    gates.open("go")
    assert call.result(30) > 0


def test_stall_kill_replaces_a_stalled_worker(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=1, heartbeat=QUICK, stall_kill=0.1, line="native")
    pool.await_ready(60)
    os.kill(pool.list_workers()[0].pid, signal.SIGSTOP)
    until(lambda: pool.list_workers()[0].ref.generation == 2, "it is replaced")
    assert pool.execute("ping") == "pong"
    assert pool.stats().restart_reasons == {"stall": 1}
    assert pool.health().total_crashes == 0


def test_a_monitor_counts_real_crashes(pool: Any) -> None:
    monitor = HealthMonitor(pool, max_crashes=2, crash_window=60)
    with pytest.raises(WorkerDied):
        pool.execute("die", {"how": "SIGKILL"})
    assert monitor.healthy
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": "3"})
    assert caught.value.cause in monitor.stats().reasons, "one vocabulary"
    assert not monitor.healthy
    stats = monitor.stats()
    assert (stats.pool, stats.total_crashes) == ("default", 2)
    assert stats.reasons == {"signal_9": 1, "exit_3": 1}
    assert sum(monitor.worker_health(slot).crashes for slot in range(2)) == 2
    until(lambda: pool.stats().ready == 2, "the slots are refilled")
    assert pool.stats().restart_reasons == {"signal_9": 1, "exit_3": 1}
    pool.close(drain=0)
    assert monitor.stats().total_crashes == 2, "the end of the pool is no crash"


def test_a_degraded_pool_says_why_and_recovers_when_the_cause_is_gone(
    make_pool: Callable[..., Any], gates: Gates
) -> None:
    pool = make_pool(
        f"{ADAPTERS}:StartsOnceAllowed",
        size=1,
        adapter_args={"permit": gates("permit")},
        max_failed_starts=2,
        degraded_retry=0.2,
    )
    with pytest.raises(StartError, match="not allowed yet") as caught:
        pool.execute("ping")
    assert "RuntimeError" in str(caught.value)
    health = pool.health()
    assert health.status == "unhealthy"
    assert "not allowed yet" in health.workers[0].start_error
    gates.open("permit")
    until(lambda: pool.health().healthy, "it is tried again")
    assert pool.execute("ping") == "pong"
    assert set(pool.stats().restart_reasons) == {"start"}


def test_a_closed_pool_is_unhealthy(pool: Any) -> None:
    pool.close()
    assert pool.health().status == "unhealthy"
    assert not any(worker.alive for worker in pool.health().workers)


def test_an_inline_pool_is_healthy_once_it_runs(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(size=1, inline=True)
    assert pool.execute("ping") == "pong"
    assert pool.health().healthy
    assert snakepit.HealthMonitor(pool).healthy


STOPPED_HOST = """
import snakepit, sys
from snakepit import Heartbeat

if __name__ == "__main__":
    beat = Heartbeat(interval=0.1, timeout=2)
    with snakepit.Pool("pool.adapters:Basic", size=2, heartbeat=beat, stall_kill=0.1) as pool:
        pool.await_ready(60)
        print(pool.list_workers()[0].pid, flush=True)
        sys.stdin.readline()
        for _ in range(20):
            assert pool.execute("ping") == "pong"
        print(pool.stats().restart_reasons, flush=True)
"""


def test_a_host_that_was_stopped_restarts_nobody(host: Any) -> None:
    program = host.start(host.write(STOPPED_HOST), stdin=subprocess.PIPE)
    worker = int(program.stdout.readline())
    # So that a probe is under way all the time, and answered only after the host's return.
    os.kill(worker, signal.SIGSTOP)
    time.sleep(0.5)
    program.send_signal(signal.SIGSTOP)
    time.sleep(3)  # The fault itself: longer than a probe may take.
    program.send_signal(signal.SIGCONT)
    time.sleep(0.5)  # Long enough to be killed for the time that nobody was there to see pass.
    os.kill(worker, signal.SIGCONT)
    out, err = program.communicate("go\n", timeout=60)
    assert (program.returncode, out) == (0, "{}\n"), err


def test_who_is_being_initialized_makes_no_progress_yet(make_pool: Callable[..., Any]) -> None:
    pool = make_pool(f"{ADAPTERS}:StartsSlowly", size=1)
    until(lambda: pool.health().workers[0].alive, "its process is there")
    facts = pool.health().workers[0]
    assert (facts.state, facts.progressing, facts.last_progress) == ("starting", False, None)
    pool.await_ready(60)
    assert pool.health().workers[0].progressing


def test_it_is_told_since_when_a_worker_leaves(pool: Any, gates: Gates) -> None:
    call = pool.submit("hold", {"started": gates("started"), "release": gates("go")})
    gates.wait("started")
    slot = next(worker for worker in pool.health().workers if worker.state == "busy").ref.slot
    until(lambda: pool.health().workers[slot].since > 0.5, "it has been ready for a while")
    before = pool.health().workers[slot].since
    pool.recycle(pool.list_workers()[slot].ref)
    facts = pool.health().workers[slot]
    assert (facts.state, facts.since < before) == ("draining", True)
    gates.open("go")
    assert call.result(30) > 0
