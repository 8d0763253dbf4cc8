"""What a pool is told of its workers' lives: wrong values are refused where they enter."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, Heartbeat, Recycle

from .conftest import Adapter


def life(make_pool: Any, **options: Any) -> Any:
    return make_pool(**options)._engine.config.life


def test_the_defaults_are_those_of_the_values(make_pool: Any) -> None:
    usual = life(make_pool)
    assert usual == life(make_pool, heartbeat=Heartbeat())
    assert (usual.recycle, usual.stall_kill, usual.startup_batch_size) == (None, None, None)


def test_values_mappings_and_none_will_do(make_pool: Any) -> None:
    recycle = Recycle(calls=3, age=timedelta(hours=1))
    told = life(make_pool, recycle=recycle, heartbeat=None, startup_batch_size=4)
    assert told.recycle == (3, 3600.0, None, None, 0.1, 60.0, 0.25)
    assert (told.heartbeat, told.startup_batch_size) == (None, 4)
    assert life(make_pool, recycle={"calls": 3, "age": 3600}) == told._replace(
        heartbeat=(2.0, 10.0, 1, 0.0), startup_batch_size=None
    )


@pytest.mark.parametrize(
    ("make", "field", "suggestion"),
    [
        (lambda: Recycle(cals=3), "recycle", "calls"),  # type: ignore[call-arg]
        (lambda: Heartbeat(intervall=3), "heartbeat", "interval"),  # type: ignore[call-arg]
        (lambda: Recycle(calls=0), "recycle.calls", "1"),
        (lambda: Recycle(age=0), "recycle.age", None),
        (lambda: Recycle(memory=1.5), "recycle.memory", None),  # type: ignore[arg-type]
        (lambda: Recycle(memory_growth=1.0), "recycle", None),
        (lambda: Recycle(memory_growth=math.nan), "recycle", None),
        (lambda: Recycle(jitter=1.0), "recycle", None),
        (lambda: Recycle(at_once=0), "recycle", None),
        (lambda: Recycle(session_drain=-1), "recycle.session_drain", None),
        (lambda: Recycle(age=1e-6), "recycle.age", None),
        (lambda: Heartbeat(interval=0), "heartbeat.interval", None),
        (lambda: Heartbeat(interval=1e-6), "heartbeat.interval", None),
        (lambda: Heartbeat(timeout=0.009), "heartbeat.timeout", None),
        (lambda: Heartbeat(timeout=math.inf), "heartbeat.timeout", "None"),
        (lambda: Heartbeat(missed=0), "heartbeat.missed", "1"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, field: str, suggestion: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert (caught.value.field, caught.value.suggestion) == (field, suggestion)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("heartbeat", 2.0),
        ("recycle", "often"),
        ("stall_kill", -1),
        ("startup_batch_size", 0),
        ("startup_batch_delay", "5"),
        ("max_failed_starts", 0),
        ("degraded_retry", math.nan),
        ("degraded_retry", 1e-9),
    ],
)
def test_a_pool_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool(Adapter, size=1, **{field: value})
    assert caught.value.field == field


def test_health_is_what_the_engine_tells(make_pool: Any) -> None:
    health = make_pool().health()
    assert (health.status, health.healthy) == ("degraded", False)
    assert (health.recent_crashes, health.total_crashes) == (1, 2)
    busy, gone = health.workers
    assert (str(busy.ref), busy.ref.generation, busy.last_progress) == ("default/0", 1, 0.25)
    assert (gone.alive, gone.since, gone.start_error) == (False, 9.0, "no weights")


def test_a_monitor_is_told_of_the_pool_that_it_is_for(make_pool: Any) -> None:
    pool = make_pool()
    monitor = snakepit.HealthMonitor(pool)
    assert pool._engine.monitors == [monitor._native]
