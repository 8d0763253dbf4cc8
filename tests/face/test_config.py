"""Parameters of a pool: every wrong value is refused where it enters, by the name of its field."""

from __future__ import annotations

import inspect
import logging
import math
import sys
from datetime import timedelta
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError
from snakepit import _base as base

from .conftest import Adapter


def refused(**options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool(Adapter, **{"size": 2, **options})
    return caught.value


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "4", None])
def test_size_is_a_whole_number_of_at_least_one(size: Any) -> None:
    error = refused(size=size)
    assert error.field == "size"
    assert "size" in str(error)


@pytest.mark.parametrize(
    ("field", "value", "nearest"),
    [
        ("size", 4097, 4096),
        ("size", 10**5000, 4096),
        ("size", -(10**5000), 1),
        ("max_queue", 131_072, 131_071),
        ("max_queue", 10**30, 131_071),
        ("max_queue_bytes", 10**30, 2**63 - 1),
        ("max_sessions", 0, 1),
        ("max_sessions", 10**8, 10_000_000),
        ("max_message", 1023, 1024),
        ("max_message", 2**31, 2**31 - 1),
        ("max_message", 10**30, 2**31 - 1),
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, int) or abs(value) < 1e9 else "huge",
)
def test_numbers_have_bounds(make_pool: Any, field: str, value: int, nearest: int) -> None:
    error = refused(**{field: value})
    assert (error.field, error.suggestion) == (field, str(nearest))
    assert getattr(make_pool(**{field: nearest})._engine.config, field) == nearest


@pytest.mark.parametrize("field", ["timeout", "start_timeout", "drain_timeout", "grace"])
@pytest.mark.parametrize(
    "value", [-1, -0.001, math.nan, math.inf, 1e12, 10**400, True, "5", timedelta(seconds=-1)]
)
def test_durations_are_seconds_or_a_timedelta(field: str, value: Any) -> None:
    error = refused(**{field: value})
    assert error.field == field


@pytest.mark.parametrize("field", ["start_timeout", "drain_timeout", "grace"])
def test_only_the_call_timeout_may_be_none(field: str) -> None:
    assert refused(**{field: None}).field == field


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("sise", "size"),
        ("time_out", "timeout"),
        ("pool_size", "size"),
        ("python_path", "pythonpath"),
        ("adapter_arg", "adapter_args"),
        ("max_queu", "max_queue"),
    ],
)
def test_unknown_keywords_are_refused_with_a_suggestion(wrong: str, meant: str) -> None:
    error = refused(**{wrong: 1})
    assert error.field == wrong
    assert error.suggestion == meant
    assert meant in str(error)


def test_a_misspelt_size_is_told_before_a_missing_one() -> None:
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool("module:Class", sise=2)
    assert caught.value.suggestion == "size"


def test_an_unknown_keyword_that_resembles_nothing_has_no_suggestion() -> None:
    assert refused(zzzzzz=1).suggestion is None


def test_the_list_of_parameters_is_the_signature() -> None:
    signature = inspect.signature(base.PoolBase.__init__).parameters.values()
    keywords = [p.name for p in signature if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert set(keywords) == base._PARAMETERS


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a/b"},
        {"name": "a" * 65},
        {"name": 7},
        {"profile": "threads"},
        {"threads_per_worker": 2},
        {"max_in_flight": 2},
        {"thread_safety_checks": True},
        {"condemn_drain": -1},
        {"affinity": "strict"},
        {"worker_output": "quiet"},
        {"env": "clean"},
        {"env": {"A=B": "1"}},
        {"env": {"A": 1}},
        {"env": {"A": "x\0y"}},
        {"env": {"": "1"}},
        {"secrets": [1]},
        {"max_queue": 0},
        {"max_message": -1},
        {"adapter_args": ["a"]},
        {"adapter_args": {"not a name": 1}},
        {"adapter_args": {1: 1}},
        {"pythonpath": [1]},
        {"python": ""},
        {"line": ""},
        {"line": "quux"},
    ],
    ids=str,
)
def test_other_values(options: dict[str, Any]) -> None:
    (field,) = options
    error = refused(**options)
    assert error.field == field
    assert str(error).startswith(field)
    assert error.may_have_run is False


def test_the_line_of_the_environment_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKEPIT_LINE", "natve")
    error = refused()
    assert str(error).startswith("SNAKEPIT_LINE: must be one of")
    assert (error.field, error.suggestion) == ("line", "native")


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [("affinity", "strict-queue", "strict_queue"), ("worker_output", "logs", "log")],
)
def test_a_misspelt_choice_gets_the_closest(field: str, value: str, meant: str) -> None:
    assert refused(**{field: value}).suggestion == meant


def test_a_breaker_of_slots_is_a_value_a_mapping_or_nothing(make_pool: Any) -> None:
    def told(**options: Any) -> Any:
        return make_pool(**options)._engine.config.worker_breaker

    usual = (20, 5, 0.5, None, 30.0, False)
    assert told() == usual
    assert told(worker_breaker=snakepit.UNSET) == usual
    assert told(worker_breaker=snakepit.WorkerBreaker()) == usual
    assert told(worker_breaker={}) == usual
    assert told(worker_breaker={}, crash_barrier=snakepit.CrashBarrier()) == usual
    assert told(crash_barrier=snakepit.CrashBarrier()) == usual
    assert told(worker_breaker=None) is None
    row = {"failure_threshold": 3, "reset_timeout": timedelta(minutes=1)}
    assert told(worker_breaker=row) == (20, 5, 0.5, 3, 60.0, False)
    short = snakepit.WorkerBreaker(window=3, failure_rate=1, count_remote_errors=True)
    assert told(worker_breaker=short) == (3, 3, 1.0, None, 30.0, True)


@pytest.mark.parametrize(
    ("breaker", "field"),
    [
        ({"window": 0}, "worker_breaker.window"),
        ({"window": 65_537}, "worker_breaker.window"),
        ({"window": 4, "minimum_calls": 5}, "worker_breaker.minimum_calls"),
        ({"failure_rate": 0}, "worker_breaker.failure_rate"),
        ({"failure_rate": 1.1}, "worker_breaker.failure_rate"),
        ({"failure_rate": "half"}, "worker_breaker.failure_rate"),
        ({"failure_threshold": 0}, "worker_breaker.failure_threshold"),
        ({"reset_timeout": -1}, "worker_breaker.reset_timeout"),
        ({"count_remote_errors": 1}, "worker_breaker.count_remote_errors"),
        (5, "worker_breaker"),
    ],
)
def test_a_breaker_of_slots_that_makes_no_sense_is_refused(breaker: Any, field: str) -> None:
    assert refused(worker_breaker=breaker).field == field


def test_a_misspelt_limit_of_a_breaker_gets_the_closest() -> None:
    error = refused(worker_breaker={"failure_treshold": 3})
    assert (error.field, error.suggestion) == ("worker_breaker", "failure_threshold")


def test_what_the_engine_reads(make_pool: Any) -> None:
    arguments = {"name": "small"}
    pool = make_pool(
        size=3,
        name="gpu-1",
        adapter_args=arguments,
        timeout=timedelta(minutes=2),
        max_queue=5,
        max_queue_bytes=4096,
        crash_barrier=snakepit.CrashBarrier(taint=timedelta(minutes=1), max_restarts=0),
        max_message=2048,
        start_timeout=timedelta(seconds=7),
        grace=0,
        affinity="hint",
        session_ttl=timedelta(minutes=3),
        max_sessions=7,
        worker_output="drop",
    )
    config = pool._engine.config
    arguments["name"] = "changed later"

    assert (config.name, config.size, config.affinity) == ("gpu-1", 3, "hint")
    assert config.adapter == ("module", Adapter.__module__, "Adapter", ())
    assert config.adapter_args == {"name": "small"}
    assert (config.max_queue, config.max_queue_bytes, config.max_message) == (5, 4096, 2048)
    assert (config.crash_barrier, config.retry, config.circuit_breaker) == ((60.0, 0), None, None)
    assert config.worker_breaker == (20, 5, 0.5, None, 30.0, False)
    assert (config.start_timeout, config.grace) == (7.0, 0.0)
    assert (config.session_ttl, config.max_sessions) == (180.0, 7)
    assert config.python == sys.executable
    flag, boot, line, core, *program = config.arguments
    assert (flag, line, program) == ("-S", "auto", [])
    assert boot == f"{config.bridge_path}/boot.py"
    assert core.endswith(".so")
    assert config.bridge_path.endswith("snakepit_bridge")
    assert config.worker_output == "drop"
    assert callable(config.log_lines), "for where a worker was that had to be killed"
    with pytest.raises(AttributeError):
        config.size = 4


def test_defaults(make_pool: Any) -> None:
    config = make_pool()._engine.config
    assert (config.name, config.affinity, config.worker_output) == (
        "default",
        "strict_queue",
        "show",
    )
    assert (config.max_queue, config.start_timeout, config.grace) == (1000, 60.0, 2.0)
    assert config.adapter_args == {}
    assert (config.session_ttl, config.max_sessions) == (3600.0, 10_000)


def test_worker_output_can_go_to_logging(make_pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    log_lines = make_pool(worker_output="log")._engine.config.log_lines
    with caplog.at_level(logging.INFO, "snakepit.worker"):
        log_lines(
            [
                ("default/0", "stdout", "50 % done", None),
                ("default/1", "stderr", "careful: 100 %", None),
            ]
        )
    assert [(r.levelname, r.getMessage(), r.worker) for r in caplog.records] == [
        ("INFO", "[default/0] 50 % done", "default/0"),
        ("WARNING", "[default/1] careful: 100 %", "default/1"),
    ]
