"""`snakepit recycle --wait`: when it returns, with which status, and what it says."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from pool.conftest import Gates, gates, make_pool, until

from snakepit import Recycle

from .test_operating import Command, command

__all__ = ["command", "gates", "make_pool"]


@pytest.fixture
def meeting(gates: Gates, monkeypatch: pytest.MonkeyPatch) -> Gates:
    monkeypatch.setenv("HANGS_IN", gates("in"))
    monkeypatch.setenv("HANGS_UNTIL", gates("until"))
    return gates


@pytest.mark.parametrize("options", [{}, {"recycle": Recycle()}], ids=["after", "before"])
def test_it_returns_when_the_replacement_is_ready(
    command: Command, make_pool: Any, options: Any
) -> None:
    pool = make_pool(size=1, **options)
    pool.await_ready(60)
    [before] = pool.list_workers()
    ended = command("recycle", "default/0", "--wait", 60, "--json", "--host", os.getpid())
    [after] = pool.list_workers()
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert told["generation"] == before.ref.generation
    fresh = {"generation": after.ref.generation, "pid": after.pid}
    assert told == {"pool": "default", "slot": 0, "generation": 1, "replacement": fresh}
    assert after.ref.generation == before.ref.generation + 1
    assert (after.state, after.pid != before.pid) == ("ready", True)

    ended = command("recycle", "--wait", "default/0", "--host", os.getpid())
    [last] = pool.list_workers()
    assert (ended.returncode, ended.stderr) == (0, "")
    said = "default/0: the worker of generation 2 is replaced; generation 3 pid {} is ready\n"
    assert ended.stdout == said.format(last.pid), "without a number, and before the worker"
    assert last.state == "ready"


def test_a_call_that_is_not_done_in_time_is_named(
    command: Command, make_pool: Any, gates: Gates
) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    pid = pool.list_workers()[0].pid
    call = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    begin = time.monotonic()
    ended = command("recycle", "default/0", "--wait=200ms", "--host", os.getpid())
    assert 0.2 <= time.monotonic() - begin < 20
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "default/0 is not replaced yet: generation 1 is draining still, and runs: hold " in (
        ended.stderr
    )
    assert "  snakepit stack default/0\n" in ended.stderr
    gates.open("go")
    assert call.result(60) == pid, "no call fails"
    until(lambda: pool.list_workers()[0].ref.generation == 2, "it was asked for all the same")


def test_a_replacement_that_hangs_can_be_looked_at(
    command: Command, make_pool: Any, meeting: Gates
) -> None:
    pool = make_pool(
        "pool.starting_adapters:SecondHangs",
        size=1,
        adapter_args={"first": meeting("first")},
        recycle=Recycle(),
    )
    pool.await_ready(60)
    here = ("--host", os.getpid())
    ended = command("recycle", "default/0", "--wait", "0.1", "--json", *here)
    assert ended.returncode == 4
    assert json.loads(ended.stdout) == {
        "pool": "default",
        "slot": 0,
        "generation": 1,
        "replacement": None,
    }
    assert "generation 2 is starting, for " in ended.stderr
    assert "  snakepit stack default/0 --generation 2\n" in ended.stderr
    meeting.wait("in")
    assert ", next starting " in command("status", *here).stdout
    look = ("stack", "default/0", "--json", *here)
    told = json.loads(command(*look, "--generation", 2).stdout)
    assert (told["generation"], told["state"]) == (2, "starting")
    assert "in hang" in told["text"]
    told = json.loads(command(*look).stdout)
    assert (told["generation"], told["pid"]) == (1, pool.list_workers()[0].pid), "who serves"
    assert "in hang" not in told["text"]
    ended = command(*look, "--generation", 3)
    assert ended.returncode == 1
    assert "generation 3 is gone; generation 1 is there" in ended.stderr
    assert pool.execute("ping") == "pong", "the old one serves"
    meeting.open("until")
    until(lambda: pool.list_workers()[0].ref.generation == 2, "it is there in the end")


def test_a_replacement_that_cannot_start_is_not_waited_for(
    command: Command, make_pool: Any, gates: Gates
) -> None:
    pool = make_pool(
        "pool.starting_adapters:SecondFails",
        size=1,
        adapter_args={"first": gates("first")},
        max_failed_starts=1,
    )
    pool.await_ready(60)
    ended = command("recycle", "default/0", "--wait", "--host", os.getpid())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "default/0: its replacement cannot start: FileExistsError" in ended.stderr


def test_the_failed_try_of_a_replacement_is_told(
    command: Command, make_pool: Any, gates: Gates
) -> None:
    pool = make_pool(
        "pool.starting_adapters:SecondFails",
        size=1,
        adapter_args={"first": gates("first")},
        recycle=Recycle(),
    )
    pool.await_ready(60)
    assert command("recycle", "default/0", "--host", os.getpid()).returncode == 0

    def replacement() -> dict[str, Any] | None:
        told = json.loads(command("status", "--json", "--host", os.getpid()).stdout)
        made: dict[str, Any] | None = told["hosts"][0]["pools"][0]["workers"][0]["replacement"]
        return made

    failed = until(lambda: (it := replacement()) and it["failure"] and it, "a try has failed")
    assert failed["generation"] > 2
    assert "FileExistsError" in failed["failure"]
    assert pool.execute("ping") == "pong", "the old one serves"


@pytest.mark.parametrize("words", [["--wait=x"], ["--wait", "5 parsecs"], ["--wait", "-1"]])
def test_what_is_no_time_is_refused(command: Command, make_pool: Any, words: list[str]) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    ended = command("recycle", "default/0", *words, "--host", os.getpid())
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--wait" in ended.stderr
    assert pool.list_workers()[0].ref.generation == 1, "nothing was asked for"
