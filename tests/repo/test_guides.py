"""What the guides in `docs` say of options is so; test_pages tries their programs."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from markdown import blocks, rows

import snakepit
from snakepit._settings._keys import HOST, POOL, Group
from snakepit._settings._original import NAMES
from snakepit._settings._timeouts import PROFILES

ROOT = Path(__file__).resolve().parents[2]
GUARDS, SESSIONS = ((ROOT / f"docs/{name}.md").read_text() for name in ("guards", "sessions"))


def test_there_is_a_program_for_each_guard() -> None:
    shown = "".join(block.text for block in blocks(GUARDS) if block.language == "python")
    guards = ["circuit_breaker=", "worker_breaker=", "retry=", "crash_barrier=", "HealthMonitor("]
    assert [guard for guard in guards if guard not in shown] == []


@pytest.mark.parametrize(
    "name", ["CircuitBreaker", "WorkerBreaker", "RetryPolicy", "CrashBarrier", "HealthMonitor"]
)
def test_a_table_names_each_option_with_its_default(name: str) -> None:
    parameters = inspect.signature(getattr(snakepit, name)).parameters.values()
    assert len(parameters) >= 2
    told = {option: default for option, default, _ in rows(GUARDS, f"`{name}`")}
    assert told == {f"`{it.name}`": f"`{shown(it.default)}`" for it in parameters}


def shown(default: object) -> str:
    return "Backoff()" if default == snakepit.Backoff() else repr(default)


def test_the_parameters_of_a_pool_are_those_and_have_those_defaults() -> None:
    parameters = inspect.signature(snakepit.Pool.__init__).parameters
    told = {option.strip("`"): default for option, default, _ in rows(GUARDS, "parameter")}
    assert told.keys() <= parameters.keys()
    literal = {name: default for name, default in told.items() if default.startswith("`")}
    assert literal.pop("worker_breaker") == "`WorkerBreaker()`"
    assert parameters["worker_breaker"].default is snakepit.UNSET
    assert literal == {name: f"`{parameters[name].default!r}`" for name in literal}
    assert parameters["max_queue_bytes"].default == 256 * 1024 * 1024


def test_the_parameters_of_sessions_have_those_defaults() -> None:
    parameters = inspect.signature(snakepit.Pool.__init__).parameters
    told = {option.strip("`"): default for option, default, _ in rows(SESSIONS, "parameter")}
    assert told == {name: f"`{parameters[name].default!r}`" for name in told}
    assert told.keys() == {"affinity", "session_ttl", "max_sessions"}


def test_the_table_of_shared_memory_is_its_options() -> None:
    parameters = inspect.signature(snakepit.SharedMemory).parameters.values()
    told = {
        option: default
        for option, default, _ in rows((ROOT / "docs/data.md").read_text(), "option")
    }
    assert told == {f"`{it.name}`": f"`{it.default!r}`" for it in parameters}


CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def test_the_guide_of_configuration_names_every_key_with_its_default() -> None:
    parameters = inspect.signature(snakepit.Pool.__init__).parameters
    told = {key.strip("`"): (form, default) for key, form, default in rows(CONFIGURATION, "key")}
    pool = {key: it for key, it in told.items() if key in POOL}
    assert pool.keys() == POOL.keys()
    for key, (form, default) in pool.items():
        assert form.startswith(POOL[key].expected), key
        kind = POOL[key]
        if isinstance(kind, Group):
            assert [it.strip(" `") for it in form.partition(": ")[2].split(",")] == [*kind.keys]
        if default.startswith("`") and key != "size":
            value = parameters[key].default
            literal = list(value) if isinstance(value, tuple) else value
            assert json.loads(default.strip("`")) == literal, key
        else:
            assert parameters[key].default in (None, snakepit.UNSET, inspect.Parameter.empty), key
    host = {it[0].strip("`"): it[1] for it in host_rows()}
    assert host == {key: kind.expected for key, kind in HOST.items()}


def host_rows() -> list[list[str]]:
    return [*rows(CONFIGURATION.partition("## Keys of the host")[2], "key")]


def test_the_guide_of_configuration_names_the_profiles_of_timeouts() -> None:
    told = {
        name.strip("`"): {"timeout": seconds(one), "stream_timeout": seconds(other)}
        for name, one, other in rows(CONFIGURATION, "profile")
    }
    assert told == PROFILES


def seconds(text: str) -> float | None:
    return None if text == "none" else float(text.removesuffix(" s"))


def test_the_guide_of_configuration_says_what_becomes_of_the_originals_names() -> None:
    told = {key.strip("`"): becomes for key, becomes in rows(CONFIGURATION, "there")}
    also = {"adapter_args", "heartbeat", "crash_barrier", "stream_timeout"}
    assert {key: it for key, it in told.items() if key not in also} == {
        key: name.becomes for key, name in NAMES.items()
    }
    assert also <= told.keys()
