"""Values of a file: types, units and words; what is wrong is told with its place."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, settings
from snakepit._base import _PARAMETERS
from snakepit._settings._keys import POOL, Group

from .conftest import Write


def test_every_parameter_of_a_pool_is_a_key() -> None:
    assert POOL.keys() == {"adapter", *_PARAMETERS}


GROUPS = [key for key, kind in POOL.items() if isinstance(kind, Group)]


@pytest.mark.parametrize("group", [key for key in GROUPS if key != "opentelemetry"])  # a flag alone
def test_every_field_of_a_parameter_is_a_key(group: str) -> None:
    name = "".join(part.capitalize() for part in group.split("_"))
    kind = getattr(
        snakepit, {"Retry": "RetryPolicy", "Telemetry": "TelemetryFilter"}.get(name, name)
    )
    fields = set(inspect.signature(kind).parameters)
    # What only a function of Python can say, or a pool's guard may not have.
    keys = POOL[group].keys  # type: ignore[union-attr]
    assert fields - {"exclude", "retriable", "budget"} == keys.keys()


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("timeout", "30", 30),
        ("timeout", "0.5", 0.5),
        ("timeout", '"500ms"', 0.5),
        ("timeout", '"30s"', 30),
        ("timeout", '" 1.5 min "', 90),
        ("timeout", '"2 h"', 7200),
        ("timeout", '"none"', None),
        ("grace", '"1m"', 60),
        ("max_message", "2048", 2048),
        ("max_message", '"64KiB"', 65_536),
        ("max_message", '"1.5 MiB"', 1_572_864),
        ("max_queue_bytes", '"2GiB"', 2 * 1024**3),
        ("heartbeat", '"none"', None),
        ("heartbeat", '{ interval = "1s", missed = 2 }', {"interval": 1, "missed": 2}),
        ("recycle", '{ memory = "1GiB" }', {"memory": 1024**3}),
        ("limits", "{ umask = 0o077 }", {"umask": 0o077}),
        ("shared_memory", '"none"', None),
        ("telemetry", '{ sampling = 0.5, deny = "a.*" }', {"sampling": 0.5, "deny": ["a.*"]}),
        ("unserializable", '"marker"', "marker"),
        ("unserializable", '{ detail = "type" }', {"detail": "type"}),
        ("env", '"strict"', "strict"),
        ("env", '{ A = "1", B = ["0", "1"], C = false }', {"A": "1", "B": ["0", "1"], "C": None}),
        ("env", '["strict", { A = "1" }]', ("strict", {"A": "1"})),
        ("devices", '"cuda:0"', ["cuda:0"]),
        ("devices", '["cuda:0", "cpu"]', ["cuda:0", "cpu"]),
        ("errors", '["my:Error"]', ["my:Error"]),
        ("adapter_args", "{ depth = 3, deep = { x = [1] } }", {"depth": 3, "deep": {"x": [1]}}),
        ("handle_sigterm", "false", False),
        ("handle_sigterm", '"auto"', "auto"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_value(write: Write, key: str, written: str, value: Any) -> None:
    write(f'adapter = "m:C"\n{key} = {written}\n')
    assert settings().pool().values()[key] == value


@pytest.mark.parametrize(
    ("written", "field", "expected", "got", "suggestion"),
    [
        ('size = "4"', "size", "a whole number", '"4"', None),
        ("size = 4.0", "size", "a whole number", "4.0", None),
        ("size = true", "size", "a whole number", "true", None),
        ("size = []", "size", "a whole number", "an array", None),
        ('timeout = "5"', "timeout", "seconds", '"5"', "5s"),
        ('timeout = "5 sec"', "timeout", "seconds", '"5 sec"', "5s"),
        ('timeout = "5 minutes"', "timeout", "seconds", '"5 minutes"', "5min"),
        ('timeout = "soon"', "timeout", '"none"', '"soon"', None),
        ("timeout = -1", "timeout", "seconds", "-1", None),
        ("timeout = nan", "timeout", "seconds", "nan", None),
        ("timeout = inf", "timeout", "seconds", "inf", '"none"'),
        ("grace = true", "grace", "seconds", "true", None),
        ('grace = "none"', "grace", "seconds", '"none"', None),
        ('max_message = "1MB"', "max_message", "bytes", '"1MB"', "1MiB"),
        ('max_message = "1 gb"', "max_message", "bytes", '"1 gb"', "1GiB"),
        ('max_message = "10"', "max_message", "bytes", '"10"', "10B"),
        ("max_message = 0.5", "max_message", "bytes", "0.5", None),
        ('profile = "threads"', "profile", '"thread"', '"threads"', "thread"),
        ("inline = 1", "inline", "true or false", "1", None),
        ("heartbeat = 5", "heartbeat", 'a table or "none"', "5", None),
        ('heartbeat.interval = "5"', "heartbeat.interval", "seconds", '"5"', "5s"),
        ('recycle = { memory = "1G" }', "recycle.memory", "bytes", '"1G"', "1GiB"),
        ("env = 5", "env", "a table", "5", None),
        ("env.A = 1", "env.A", "a text", "1", None),
        ("devices = [1]", "devices", "an array of texts", "an array", None),
        ("adapter_args = 5", "adapter_args", "a table", "5", None),
        ("adapter = 5", "adapter", "module:Class", "5", None),
        ('handle_sigterm = "never"', "handle_sigterm", '"auto"', '"never"', None),
        ('retry.backoff = ["x"]', "retry.backoff", "seconds", '"x"', None),
        ('timeout_profile = "bach"', "timeout_profile", '"batch"', '"bach"', "batch"),
        ("pooling_enabled = 1", "pooling_enabled", "true or false", "1", None),
        ('log_level = "loud"', "log_level", '"debug"', '"loud"', None),
        ('log_categories = ["pools"]', "log_categories", '"pool"', '"pools"', "pool"),
        ("pools = 5", "pools", "a table of tables", "5", None),
        ("pools.gpu = 5", "pools.gpu", "a table", "5", None),
        ("pools = [{ size = 1 }]", "pools[0].name", "a name", "None", None),
    ],
    ids=lambda it: it if isinstance(it, str) and "=" in it else "",
)
def test_a_wrong_value_is_told_with_field_need_and_place(
    write: Write, written: str, field: str, expected: str, got: str, suggestion: str | None
) -> None:
    path = write(f"# first\n{written}\n")
    with pytest.raises(ConfigError) as caught:
        settings()
    error = caught.value
    assert (error.field, error.got, error.suggestion) == (field, got, suggestion)
    assert expected in (error.expected or "")
    assert (error.source, error.line) == (f"{path}:2", 2)
    assert str(path) in str(error)
    assert field in str(error)


@pytest.mark.parametrize(
    ("written", "wrong", "meant"),
    [
        ("siez = 1", "siez", "size"),
        ("timout = 1", "timout", "timeout"),
        ("heartbeat = { intervall = 1 }", "heartbeat.intervall", "interval"),
        ("zzz = 1", "zzz", None),
        ("pool_sise = 1", "pool_sise", "pool_size"),
        ("log_levle = 'none'", "log_levle", "log_level"),
        ("pool = []", "pool", "pools"),
        ("[pools.gpu]\nsise = 1", "pools.gpu.sise", "size"),
        ("[limits]\nnicee = 1", "limits.nicee", "nice"),
    ],
    ids=lambda it: it.replace("\n", "; ") if it and ("=" in it) else "",
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    write: Write, written: str, wrong: str, meant: str | None
) -> None:
    path = write(written)
    with pytest.raises(ConfigError) as caught:
        settings()
    assert (caught.value.field, caught.value.suggestion) == (wrong, meant)
    assert caught.value.source == f"{path}:{written.count(chr(10)) + 1}"


def test_code_may_give_objects(write: Write) -> None:
    class Adapter: ...

    retry = snakepit.RetryPolicy(max_attempts=2)
    told = settings(
        adapter=Adapter,
        retry=retry,
        timeout=timedelta(seconds=3),
        grace="500ms",
        heartbeat=None,
        python=Path("/usr/bin/python3"),
        errors=[ValueError],
        recycle=snakepit.Recycle(calls=5),
        env={"A": None},
        devices=None,
    )
    values = told.pool().values()
    assert values.pop("name") == "default"
    assert values == {
        "adapter": Adapter,
        "retry": retry,
        "timeout": timedelta(seconds=3),
        "grace": 0.5,
        "heartbeat": None,
        "python": Path("/usr/bin/python3"),
        "errors": [ValueError],
        "recycle": snakepit.Recycle(calls=5),
        "env": {"A": None},
        "devices": None,
    }


def test_tables_become_guards(write: Write) -> None:
    write(
        """
        adapter = "m:C"
        crash_barrier = { taint = "5s" }
        [retry]
        max_attempts = 4
        backoff = { base = "100ms", max = 1 }
        jitter = "none"
        [circuit_breaker]
        window = 100
        failure_rate = 0.25
        """
    )
    values = settings().pool().values()
    assert values["crash_barrier"] == snakepit.CrashBarrier(taint=5.0)
    assert isinstance(values["retry"], snakepit.RetryPolicy)
    assert isinstance(values["circuit_breaker"], snakepit.CircuitBreaker)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("retry = { max_attempts = 0 }", "retry.max_attempts"),
        ("circuit_breaker = { failure_rate = 0.5, window = 0 }", "circuit_breaker.window"),
        ("heartbeat = { interval = 0 }", "heartbeat.interval"),
        ("worker_breaker = { failure_rate = 2.0 }", "worker_breaker.failure_rate"),
        ("shared_memory = { threshold = 1 }", "shared_memory.threshold"),
        ("telemetry = { sampling = 1.5 }", "telemetry.sampling"),
        ("size = 0", "size"),
        ("max_queue = 10000000", "max_queue"),
        ('name = "a b"', "name"),
    ],
    ids=lambda it: it if "=" in it else "",
)
def test_a_value_that_a_pool_refuses_is_told_with_its_place(
    write: Write, written: str, field: str
) -> None:
    path = write(f'adapter = "m:C"\n{written}\n')
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool.from_config()
    assert caught.value.field == field
    if field != "name":
        assert caught.value.source == f"{path}:2"
        assert f"{path}:2" in str(caught.value)


def test_paths_of_a_file_are_meant_from_there(write: Write, tmp_path: Path) -> None:
    write('adapter = "m:C"\npythonpath = ["src", "/abs"]\npython = "venv/bin/python"\n')
    values = settings().pool().values()
    assert values["pythonpath"] == [str(tmp_path / "src"), "/abs"]
    assert values["python"] == str(tmp_path / "venv/bin/python")
    write('adapter = ["./worker", "--fast"]\npython = "python3.12"\n')
    values = settings().pool().values()
    assert values["adapter"].program == str(tmp_path / "worker")
    assert values["adapter"].arguments == ("--fast",)
    assert values["python"] == "python3.12"
