"""What the guides in `docs` show is so: their programs run, their options have those defaults."""

from __future__ import annotations

import inspect
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from markdown import Block, blocks, rows

import snakepit

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
        "hardware",
        "data",
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
