"""The health monitor: how many crashes are too many, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from snakepit import ConfigError, HealthMonitor, WorkerHealth, WorkerRef, _core

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "HealthMonitor"), reason="the window is the native half's: make build"
)


def test_the_seeds_snippet(make_pool: Any) -> None:
    monitor = HealthMonitor(make_pool(), max_crashes=5, crash_window=60)
    monitor.record_crash("default/0", "signal_9")
    monitor.record_crash("default/1", "exit_1")
    assert monitor.healthy
    stats = monitor.stats()
    assert (stats.pool, stats.total_crashes, stats.recent_crashes) == ("default", 2, 2)
    assert stats.workers_with_crashes == 2
    assert repr(monitor) == "<HealthMonitor of pool 'default': healthy>"


def test_too_many_crashes_in_the_window_are_not_healthy() -> None:
    monitor = HealthMonitor(max_crashes=3, crash_window=timedelta(hours=1))
    for n in range(3):
        assert monitor.healthy
        monitor.record_crash(f"pool/{n}", "oom")
    assert not monitor.healthy
    assert not monitor.stats().healthy
    assert repr(monitor) == "<HealthMonitor: not healthy>"


def test_crashes_are_forgotten_after_the_window() -> None:
    monitor = HealthMonitor(max_crashes=1, crash_window=0.05)
    monitor.record_crash("pool/0", "oom")
    until = time.monotonic() + 30
    while not monitor.healthy and time.monotonic() < until:
        time.sleep(0.01)
    stats = monitor.stats()
    assert (stats.healthy, stats.recent_crashes, stats.total_crashes) == (True, 0, 1)
    assert (stats.recent_reasons, stats.reasons) == ({}, {"oom": 1})


def test_a_worker_is_judged_by_its_own_crashes_whatever_its_generation() -> None:
    monitor = HealthMonitor(max_worker_crashes=2)
    monitor.record_crash(WorkerRef("pool", 0, 1), "signal_11")
    monitor.record_crash(WorkerRef("pool", 0, 2), "signal_11")
    health = monitor.worker_health("pool/0")
    assert (health.healthy, health.crashes) == (False, 2)
    assert health.last_crash is not None
    assert 0 <= health.last_crash < 60
    assert monitor.worker_health("pool/1") == WorkerHealth(True, 0, None)


def test_threads_may_tell_it_at_once() -> None:
    monitor = HealthMonitor()

    def tell() -> None:
        for _ in range(100):
            monitor.record_crash("pool/0")

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.stats().reasons == {"unknown": 800}


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("max_crashes", lambda: HealthMonitor(max_crashes=0)),
        ("max_crashes", lambda: HealthMonitor(max_crashes=10_001)),
        ("crash_window", lambda: HealthMonitor(crash_window=0)),
        ("crash_window", lambda: HealthMonitor(crash_window=-1)),
        ("max_worker_crashes", lambda: HealthMonitor(max_worker_crashes=0)),
    ],
)
def test_a_wrong_value_is_named(field: str, make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field
