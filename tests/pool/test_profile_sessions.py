"""How sessions end in workers that run several calls at once: every profile, over both ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakepit import SessionClosed

from .conftest import Gates, until

THREADS, TURNS = "pool.session_adapters:Threads", "pool.session_adapters:Turns"


@pytest.fixture(params=["native", "grpcio"])
def line(request: pytest.FixtureRequest) -> str:
    if request.param == "grpcio":
        pytest.importorskip("grpc", reason="the pure-Python end needs grpcio")
    return str(request.param)


class Notes:
    """What an adapter wrote down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def wait_for(self, *expected: str) -> None:
        until(lambda: len(self()) >= len(expected), f"{expected} in the notes")
        assert self() == [*expected]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture(params=["thread", "thread with coroutines", "async"])
def keeper(
    request: pytest.FixtureRequest, make_pool: Callable[..., Any], notes: Notes, line: str
) -> Callable[..., Any]:
    """Makes pools of one worker with four calls at once."""
    profile = {"profile": "thread", "threads_per_worker": 4}
    if request.param == "async":
        profile = {"profile": "async", "max_in_flight": 4}
    adapter = THREADS if request.param == "thread" else TURNS

    def make(held: list[str] | None = None, **options: Any) -> Any:
        arguments = {"notes": str(notes.path), "held": held}
        pool = make_pool(adapter, size=1, line=line, adapter_args=arguments, **profile, **options)
        pool.await_ready(60)
        return pool

    return make


def test_an_end_is_told_once_and_the_id_begins_anew(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    with pool.session("u") as session:
        assert [session.execute("visit") for _ in range(2)] == [[1, True], [2, False]]
    notes.wait_for("closed u u 2")
    with pytest.raises(SessionClosed):
        session.execute("visit")
    assert pool.execute_in_session("u", "visit") == [1, True]
    assert pool.execute_in_session("u", "visit") == [2, False], "the end of the old one is not its"
    assert notes() == ["closed u u 2"]


def test_an_end_waits_for_its_own_calls_and_for_nobody_else(
    keeper: Any, notes: Notes, gates: Gates
) -> None:
    pool = keeper()
    session, other = pool.session("u"), pool.session("v")
    ours = session.submit("hold", {"started": gates("s"), "release": gates("go")})
    bystander = other.submit("hold", {"started": gates("s2"), "release": gates("go2")})
    gates.wait("s")
    gates.wait("s2")
    assert session.close()
    assert pool.execute("visit", session="w") == [1, True]
    assert notes() == [], "a call of it runs"
    gates.open("go")
    assert ours.result(60) == [1, True]
    notes.wait_for("closed u u 1")
    assert not bystander.done()
    gates.open("go2")
    assert bystander.result(60) == [1, True]


def test_no_call_begins_while_the_adapter_is_told_and_those_that_run_go_on(
    keeper: Any, notes: Notes, gates: Gates
) -> None:
    """Else the next session of that id might begin before the last one has ended."""
    pool = keeper(held=[gates("hook"), gates("hook may end")])
    running = pool.submit("hold", {"started": gates("s"), "release": gates("go")}, session="v")
    gates.wait("s")
    session = pool.session("u")
    session.execute("visit")
    session.close()
    gates.wait("hook")
    anew = pool.submit("visit", session="u")
    also = pool.submit("hold", {"started": gates("s3"), "release": gates("s")}, session="w")
    gates.open("go")
    assert running.result(60) == [1, True], "it was under way"
    assert not anew.done()
    assert not gates.opened("s3")
    gates.open("hook may end")
    assert (anew.result(60), also.result(60)) == ([1, True], [1, True])
    assert notes() == ["closed u u 1"]


def test_many_sessions_come_and_go_beside_each_other(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    for round_ in range(5):
        sessions = [pool.session(f"s{number}") for number in range(8)]
        for expected in ([1, True], [2, False]):
            visits = [session.submit("visit") for session in sessions]
            assert [visit.result(60) for visit in visits] == [expected] * 8
        assert all(session.close() for session in sessions)
        until(lambda told=8 * (round_ + 1): len(notes()) == told, "all of them are told")
    assert sorted(notes()) == sorted(f"closed s{n} s{n} 2" for n in range(8) for _ in range(5))


def test_one_that_expires_is_told_as_well(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    pool.session("u", ttl=0.3).execute("visit")
    notes.wait_for("closed u u 1")


def test_the_end_of_the_worker_is_the_end_of_its_sessions(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    for name in ("a", "b"):
        pool.execute_in_session(name, "visit")
    pool.close()
    assert notes() == ["closed a a 1", "closed b b 1", "cleanup"]
