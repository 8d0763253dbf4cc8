"""The environment: keys in capitals, tables by two underscores, and names that are others'."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit import ConfigError, settings
from snakepit._settings._variables import variables

from .conftest import Write


def of_default(**environ: str) -> dict[str, Any]:
    told = variables({f"SNAKEPIT_{name}": value for name, value in environ.items()})
    from snakepit._settings._layers import plain

    values: dict[str, Any] = plain(told.shared)
    return values


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("SIZE", "4", "size", 4),
        ("TIMEOUT", "30", "timeout", 30),
        ("TIMEOUT", "1.5m", "timeout", 90),
        ("TIMEOUT", "none", "timeout", None),
        ("INLINE", "Yes", "inline", True),
        ("INLINE", "0", "inline", False),
        ("MAX_MESSAGE", "1MiB", "max_message", 1024**2),
        ("MAX_MESSAGE", "2048", "max_message", 2048),
        ("DEVICES", "cuda:0, cuda:1", "devices", ["cuda:0", "cuda:1"]),
        ("DEVICES", '["cpu"]', "devices", ["cpu"]),
        ("HEARTBEAT__INTERVAL", "500ms", "heartbeat.interval", 0.5),
        ("HEARTBEAT", "none", "heartbeat", None),
        ("HEARTBEAT", "{ missed = 3 }", "heartbeat.missed", 3),
        ("LIMITS__NICE", "5", "limits.nice", 5),
        ("ADAPTER_ARGS", '{ weights = "small", depth = 3 }', "adapter_args.depth", 3),
        ("ENV", "strict", "env", "strict"),
        ("ENV", '{ A = "x" }', "env.A", "x"),
        ("HANDLE_SIGTERM", "false", "handle_sigterm", False),
        ("LINE", "grpcio", "line", "grpcio"),
        ("RETRY__BACKOFF", '["100ms", 1]', "retry.backoff", [0.1, 1]),
        ("PYTHON", "python3.12", "python", "python3.12"),
        ("POOL_SIZE", "3", "size", 3),
        ("STARTUP_BATCH_DELAY_MS", "500", "startup_batch_delay", 0.5),
        ("HEARTBEAT__PING_INTERVAL_MS", "500", "heartbeat.interval", 0.5),
        ("ADAPTER_ARGS", '["--adapter", "my.mod.Class"]', "adapter", "my.mod:Class"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_variable(name: str, text: str, path: str, value: Any) -> None:
    here: Any = of_default(**{name: text})
    for key in path.split("."):
        here = here[key]
    assert here == value
    assert isinstance(here, bool) == isinstance(value, bool)


def test_what_is_said_once() -> None:
    told = variables({"SNAKEPIT_LOG_LEVEL": "none", "SNAKEPIT_POOLING_ENABLED": "off"})
    assert {key: leaf.value for key, leaf in told.host.entries.items()} == {  # type: ignore[union-attr]
        "log_level": "none",
        "pooling_enabled": False,
    }


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("SIZE", "four", "size", "a whole number"),
        ("SIZE", "4.5", "size", "a whole number"),
        ("INLINE", "perhaps", "inline", "true or false"),
        ("TIMEOUT", "5 parsecs", "timeout", "seconds"),
        ("HEARTBEAT", "often", "heartbeat", "a table"),
        ("ADAPTER_ARGS", "{ broken", "adapter_args", "a table"),
        ("HEARTBEAT__MISSED", "x", "heartbeat.missed", "a whole number"),
    ],
    ids=lambda it: it,
)
def test_a_wrong_value_names_the_variable(name: str, text: str, field: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of_default(**{name: text})
    assert caught.value.field == field
    assert caught.value.source == f"SNAKEPIT_{name}"
    assert expected in (caught.value.expected or "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIMEOT", "SNAKEPIT_TIMEOUT"),
        ("SIZES", "SNAKEPIT_SIZE"),
        ("HEARTBEATS__INTERVAL", "SNAKEPIT_HEARTBEAT__INTERVAL"),
        ("HEARTBEAT__INTERVALL", "interval"),
    ],
    ids=lambda it: it,
)
def test_a_name_that_was_meant_for_a_key_is_refused(name: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of_default(**{name: "1"})
    assert caught.value.suggestion == meant
    assert f"SNAKEPIT_{name}" in str(caught.value)


@pytest.mark.parametrize("name", ["SIZE__X", "SIZE__", "POOLS", "POOLS__GPU__SIZE__X"])
def test_a_name_that_goes_nowhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"SNAKEPIT_{name}"):
        of_default(**{name: "1"})


def test_a_table_is_told_whole_or_by_its_keys() -> None:
    with pytest.raises(ConfigError, match="whole table"):
        of_default(HEARTBEAT="none", HEARTBEAT__MISSED="1")


def test_names_of_others_are_left_alone() -> None:
    others = ["RUN", "GROUP", "LIMITS", "FAIL", "CONFIG", "SCRIPT_HALT"]
    others += ["TEST_RUN", "CHAOS_SECONDS", "OTEL_ENDPOINT", "X"]
    assert of_default(**dict.fromkeys(others, "1")) == {}
    assert of_default(SIZE="", LINE="") == {}


def test_a_pool_of_its_own(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('adapter = "m:C"\nsize = 1\n[pools.default]\n[pools."GPU-a.1"]\nsize = 2\n')
    monkeypatch.setenv("SNAKEPIT_POOLS__GPU_A_1__SIZE", "5")
    monkeypatch.setenv("SNAKEPIT_TIMEOUT", "9")
    told = settings()
    assert told.pool("GPU-a.1").values()["size"] == 5
    assert told.pool("default").values()["size"] == 1
    assert [told.pool(name).values()["timeout"] for name in told.pools] == [9, 9]
    assert str(told.pool("GPU-a.1").origin("size")) == "SNAKEPIT_POOLS__GPU_A_1__SIZE"
    monkeypatch.setenv("SNAKEPIT_POOLS__CPU__SIZE", "5")
    with pytest.raises(ConfigError, match=r"no pool \"cpu\".*GPU-a.1"):
        settings()
