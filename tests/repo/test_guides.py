"""What the guides in `docs` show is so: their programs run, their options have those defaults."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from markdown import Block, blocks, rows

import snakepit
from snakepit._settings._keys import HOST, POOL, Group
from snakepit._settings._original import NAMES
from snakepit._settings._timeouts import PROFILES

ROOT = Path(__file__).resolve().parents[2]
GUARDS, SESSIONS = ((ROOT / f"docs/{name}.md").read_text() for name in ("guards", "sessions"))
END = Block("", "", 0)
PAGES = {
    page: [
        (program, following)
        for program, following in pairwise([*blocks((ROOT / f"docs/{page}.md").read_text()), END])
        if program.language == "python"
    ]
    for page in (
        "guards",
        "sessions",
        "host-tools",
        "coming-from-snakepit",
        "telemetry",
        "metrics",
        "logs",
        "hardware",
        "data",
        "configuration",
    )
}
PROGRAMS = [program for programs in PAGES.values() for program in programs]
# Pages with fragments, too: what a text follows is a program.
MIXED = {
    page: [
        (program, following)
        for program, following in pairwise([*blocks((ROOT / f"docs/{page}.md").read_text()), END])
        if program.language == "python" and following.language == "text"
    ]
    for page in ("tools", "profiles")
}


def test_each_guide_shows_a_program() -> None:
    assert all(PAGES.values())
    assert all(MIXED.values())


@pytest.mark.parametrize(
    ("program", "following"),
    [*PROGRAMS, *(program for programs in MIXED.values() for program in programs)],
    ids=[
        f"{page}-line{program.line}"
        for page, made in [*PAGES.items(), *MIXED.items()]
        for program, _ in made
    ],
)
def test_a_program_of_a_guide_says_what_follows_it(
    program: Block, following: Block, tmp_path: Path
) -> None:
    assert following.language == "text"
    script = tmp_path / "program.py"
    script.write_text(program.text)
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == following.text


def test_there_is_a_program_for_each_guard() -> None:
    shown = "".join(program.text for program, _ in PAGES["guards"])
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
