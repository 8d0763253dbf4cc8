"""`snakepit stack`: of a worker that starts, and of what an event loop has to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pool.conftest import Gates, gates, make_pool, own_line, until

from .test_operating import Command, command

__all__ = ["command", "gates", "make_pool", "own_line"]


@pytest.fixture
def meeting(gates: Gates, monkeypatch: pytest.MonkeyPatch) -> Gates:
    """Where adapters of ``starting_adapters`` are met, from ``in`` to ``until``."""
    monkeypatch.setenv("HANGS_IN", gates("in"))
    monkeypatch.setenv("HANGS_UNTIL", gates("until"))
    monkeypatch.setenv("HANGS_IN_IMPORT", "Python")
    return gates


def stack_of(command: Command, *more: str) -> dict[str, Any]:
    ended = command("stack", "default/0", "--json", "--host", os.getpid(), *more)
    assert (ended.returncode, ended.stderr) == (0, "")
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize(
    ("adapter", "frame"),
    [
        ("pool.hanging_module:Waits", "hanging_module.py"),
        ("pool.starting_adapters:HangsInConstructor", "in __init__"),
        ("pool.starting_adapters:HangsInInitialize", "in initialize"),
    ],
)
def test_a_worker_that_starts_tells_where_it_hangs(
    command: Command, make_pool: Any, meeting: Gates, own_line: str, adapter: str, frame: str
) -> None:
    pool = make_pool(adapter, size=1, line=own_line)
    meeting.wait("in")
    told = stack_of(command)
    assert (told["state"], told["by"]) == ("starting", "interpreter")
    assert told["pid"] == pool.list_workers()[0].pid
    main = told["text"].partition("\n\n")[0]
    assert main.startswith("Thread MainThread"), main
    assert frame in main
    assert "in wait_for" in main
    ended = command("stack", "default/0", "--host", os.getpid())
    assert "generation 1 pid" in ended.stdout
    assert "; it is starting\n" in ended.stdout
    meeting.open("until")
    assert pool.execute("ping", timeout=60) == "pong", "it goes on"
    assert stack_of(command)["state"] == "ready"


def test_a_coroutine_in_which_a_start_hangs_is_told(
    command: Command, make_pool: Any, meeting: Gates, own_line: str
) -> None:
    pool = make_pool("pool.starting_adapters:HangsInCoroutine", size=1, line=own_line)
    meeting.wait("in")
    tasks = stack_of(command)["text"].partition("Tasks of the event loop of thread ")[2]
    assert "HangsInCoroutine.initialize" in tasks
    assert "in initialize" in tasks
    meeting.open("until")
    assert pool.execute("ping", timeout=60) == "pong"


@pytest.mark.parametrize("line", ["native", "grpcio"])
def test_an_import_that_holds_the_interpreter_is_seen_from_outside(
    command: Command,
    make_pool: Any,
    meeting: Gates,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    if line == "grpcio":
        pytest.importorskip("grpc")
    os.mkfifo(meeting("until"))
    monkeypatch.setenv("HANGS_IN_IMPORT", "C")
    pool = make_pool("pool.hanging_module:Waits", size=1, line=line)
    meeting.wait("in")
    if line == "native":
        told = stack_of(command)
        assert (told["state"], told["by"]) == ("starting", "signal")
        assert "in seize" in told["text"]
        assert "hanging_module.py" in told["text"]
    else:
        ended = command("stack", "default/0", "--host", os.getpid())
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "its end cannot tell" in ended.stderr
    Path(meeting("until")).write_text("go")
    assert pool.execute("ping", timeout=60) == "pong"


def test_an_interpreter_that_has_not_come_to_the_adapter_is_said_to_be_that(
    command: Command,
    make_pool: Any,
    meeting: Gates,
    monkeypatch: Any,
    tmp_path: Path,
    own_line: str,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "if 'HANGS_IN' in os.environ:\n"
        "    open(os.environ['HANGS_IN'], 'a').close()\n"
        "    while not os.path.exists(os.environ['HANGS_UNTIL']):\n"
        "        time.sleep(0.002)\n"
    )
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), path])))
    pool = make_pool(size=1, line=own_line)
    meeting.wait("in")
    until(lambda: pool.list_workers()[0].pid is not None, "the host knows its process")
    pid = pool.list_workers()[0].pid
    ended = command("stack", "default/0", "--host", os.getpid())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "default/0 is starting and cannot tell yet: its interpreter starts" in ended.stderr
    assert f"py-spy dump --pid {pid}" in ended.stderr
    meeting.open("until")
    assert pool.execute("ping", timeout=60) == "pong"


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        ("pool.overlapping:Coroutines", {"profile": "async", "max_in_flight": 4}),
        ("pool.overlapping:Threads", {"profile": "thread", "threads_per_worker": 4}),
        ("pool.overlapping:Coroutines", {}),
    ],
    ids=["async", "thread", "process"],
)
def test_what_a_loop_waits_for_is_told(
    command: Command, make_pool: Any, gates: Gates, own_line: str, adapter: str, options: Any
) -> None:
    pool = make_pool(adapter, size=1, line=own_line, **options)
    calls = [
        pool.submit("hold_in_turn", {"started": gates(f"s{number}"), "ended": gates(f"e{number}")})
        for number in range(2 if options else 1)
    ]
    for number in range(len(calls)):
        gates.wait(f"s{number}")

    def asleep() -> str | None:
        """The tasks, once each call is in its sleep: it touches the file before."""
        tasks: str = stack_of(command)["text"].partition("Tasks of the event loop of thread ")[2]
        many = len(calls) == 1 or f"\n{len(calls)} tasks " in tasks
        return tasks if many and "in sleep" in tasks else None

    tasks = until(asleep, "they sleep")
    assert tasks.startswith("snakepit-loop:\n")
    assert "waiting for Future" in tasks
    assert "in hold_in_turn" in tasks
    assert "overlapping.py" in tasks
    assert pool.list_workers()[0].state == "busy", "it goes on"
    for call in calls:
        call.cancel()
    for number in range(len(calls)):
        gates.wait(f"e{number}")
    until(lambda: "hold_in_turn" not in stack_of(command)["text"], "they have ended")
    pid = pool.execute("pid")
    assert pid == pool.list_workers()[0].pid


def test_a_stream_that_waits_is_followed_into_its_generator(
    command: Command, make_pool: Any, gates: Gates, own_line: str
) -> None:
    pool = make_pool(
        "pool.overlapping:Coroutines", size=1, line=own_line, profile="async", max_in_flight=2
    )
    stream = pool.execute_stream(
        "trickle_in_turn", {"started": gates("s"), "release": gates("go")}, timeout=60
    )
    assert next(stream) == 1
    gates.wait("s")
    text = stack_of(command)["text"].partition("Tasks of the event loop")[2]
    assert "in trickle_in_turn" in text
    assert "in wait_in_turn" in text
    gates.open("go")
    assert list(stream) == [2]
