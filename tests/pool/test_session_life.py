"""How sessions end, what is kept for them until then, and how the adapter is told: both ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import (
    ConfigError,
    PoolClosed,
    RemoteError,
    SessionClosed,
    SessionExpired,
    SessionLost,
    SessionQuotaExceeded,
)

from .conftest import Gates, until

KEEPER = "pool.session_adapters:Keeper"
ASYNC_KEEPER = "pool.session_adapters:AsyncKeeper"


@pytest.fixture(params=["native", "grpcio"])
def line(request: pytest.FixtureRequest) -> str:
    if request.param == "grpcio":
        pytest.importorskip("grpc", reason="the pure-Python end needs grpcio")
    return request.param


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


@pytest.fixture
def keeper(make_pool: Callable[..., Any], notes: Notes, line: str) -> Callable[..., Any]:
    """Makes pools of one ``Keeper``."""

    def make(adapter: str = KEEPER, hook: str | None = None, **options: Any) -> Any:
        arguments = {"notes": str(notes.path)} | ({} if hook is None else {"hook": hook})
        options = {"size": 1, "line": line, "adapter_args": arguments, **options}
        return make_pool(adapter, **options)

    return make


def test_state_lasts_as_long_as_the_session(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    with pool.session("u") as session:
        assert session.execute("visit")[:2] == [1, True]
        assert session.execute("visit")[:2] == [2, False]
        streamed = [visit[0] for visit in session.execute_stream("visits", {"upto": 2})]
        assert streamed == [3, 4]
        assert pool.execute_in_session("v", "visit")[:2] == [1, True], "each has its own"
    notes.wait_for("closed u u 4 True")
    for use in (
        lambda: session.execute("visit"),
        lambda: session.submit("visit"),
        lambda: session.execute_stream("visits", {"upto": 1}),
    ):
        with pytest.raises(SessionClosed) as caught:
            use()
        assert isinstance(caught.value, SessionLost)
        assert (caught.value.session, caught.value.may_have_run) == ("u", False)
    first, is_new, _, generation = pool.execute_in_session("u", "visit")
    assert (first, is_new) == (1, True), "by id it is another one"
    assert generation > session.generation
    assert pool.execute_in_session("v", "visit")[0] == 2, "nobody closed that one"


def test_a_session_that_is_not_used_expires(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    session = pool.session("u", ttl=0.3)
    session.execute("visit")
    notes.wait_for("closed u u 1 True")
    assert session.closed
    with pytest.raises(SessionExpired) as caught:
        session.execute("visit")
    assert (caught.value.session, caught.value.may_have_run) == ("u", False)
    assert pool.sessions() == []
    assert pool.execute_in_session("u", "visit")[:2] == [1, True]


def test_each_call_makes_it_last_longer(keeper: Any, notes: Notes, gates: Gates) -> None:
    pool = keeper()
    session = pool.session("u", ttl=0.3)
    held = session.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    time.sleep(0.5)
    assert session.info().in_flight == 1
    assert notes() == [], "it is used as long as a call of it runs"
    gates.open("go")
    assert held.result(30) == 1
    notes.wait_for("closed u u 1 True")


def test_the_pools_ttl_is_the_default(keeper: Any, notes: Notes) -> None:
    pool = keeper(session_ttl=0.3)
    lasting = pool.session("lasting", ttl=None)
    lasting.execute("visit")
    assert (lasting.info().ttl, lasting.info().ttl_left) == (None, None)
    pool.execute_in_session("u", "visit")
    notes.wait_for("closed u u 1 True")
    assert lasting.execute("visit")[0] == 2


def test_calls_that_were_made_before_the_close_end_as_they_would(
    keeper: Any, notes: Notes, gates: Gates
) -> None:
    pool = keeper()
    session = pool.session("u")
    running = session.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    waiting = session.submit("visit")
    assert session.close() is True
    assert session.close() is False, "it is closed already"
    anew = pool.submit("visit", session="u")
    gates.open("go")
    assert running.result(30) == 1
    assert waiting.result(30)[:2] == [2, False]
    assert anew.result(30)[:2] == [1, True], "in the same worker, yet another one"
    notes.wait_for("closed u u 2 True")
    assert pool.execute_in_session("u", "visit")[0] == 2, "the end of the old one is not its end"


def test_the_end_of_the_worker_is_the_end_of_its_sessions(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    for name in ("a", "b"):
        pool.execute_in_session(name, "visit")
    pool.close()
    assert notes() == ["closed a a 1 True", "closed b b 1 True", "cleanup"]
    with pytest.raises(PoolClosed):
        pool.session("c")


def test_a_recycled_worker_tells_its_sessions(keeper: Any, notes: Notes) -> None:
    pool = keeper()
    session = pool.session("u")
    session.execute("visit")
    pool.recycle(pool.list_workers()[0].ref)
    notes.wait_for("closed u u 1 True", "cleanup")
    with pytest.raises(SessionLost) as caught:
        session.execute("visit")
    assert type(caught.value) is SessionLost
    until(lambda: session.info().home is None, "it is open, though nothing is kept for it")
    assert pool.execute_in_session("u", "visit")[:2] == [1, True]
    with pytest.raises(SessionLost):
        session.execute("visit")


def test_a_hook_that_raises_harms_nobody(keeper: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pool = keeper(hook="raise")
    pid = pool.execute("pid")
    pool.execute_in_session("u", "visit")
    assert pool.close_session("u")
    assert pool.execute("pid") == pid
    assert pool.execute_in_session("u", "visit")[:2] == [1, True]
    said = [""]

    def is_told() -> bool:
        said[0] += capfd.readouterr().err
        return "hook is broken" in said[0]

    until(is_told, "it is told")
    assert "session_closed('u') of the adapter failed" in said[0]


def test_a_hook_that_hangs_costs_a_worker_and_no_call(
    keeper: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    pool = keeper(hook="hang")
    pid = pool.execute("pid")
    pool.execute_in_session("u", "visit")
    assert pool.close_session("u")
    assert pool.execute("pid", idempotent=True) != pid, "what waited for it runs in the next one"
    said = capfd.readouterr().err
    assert "session_closed('u') of the adapter has not returned for 0.5 s" in said


def test_hooks_and_tools_may_be_coroutines(keeper: Any, notes: Notes) -> None:
    pool = keeper(ASYNC_KEEPER)
    with pool.session("u") as session:
        assert [session.execute("visit") for _ in range(3)] == [1, 2, 3]
        whose = ["u", 3]
        assert session.execute("whose") == ["u", "u", whose, ["u", whose]]
    notes.wait_for("closed u u 3")


def test_there_is_no_state_without_a_session(keeper: Any) -> None:
    with pytest.raises(RemoteError, match="belongs to no session"):
        keeper().execute("visit")


def test_the_adapter_sees_metadata(keeper: Any) -> None:
    pool = keeper()
    told = {"plan": "pro", "limits": [1, 2.5, None], "raw": b"\0"}
    session = pool.session("u", metadata=told)
    assert session.execute("metadata") == told
    assert pool.execute_in_session("u", "metadata") == told
    assert session.info().metadata == told
    pool.session("u", metadata={"plan": "free"})
    assert session.execute("metadata") == {"plan": "free"}, "whoever spoke last"
    assert pool.execute("metadata") == {}


def test_a_hint_is_new_in_each_worker_it_comes_to(
    make_pool: Any, notes: Notes, gates: Gates, line: str
) -> None:
    pool = make_pool(KEEPER, adapter_args={"notes": str(notes.path)}, line=line)
    pool.await_ready(60)
    session = pool.session("u", affinity="hint")
    held = session.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    elsewhere = session.execute("visit")
    assert elsewhere[:2] == [1, True], "what is kept at home is not there"
    gates.open("go")
    assert held.result(30) == 1
    session.close()
    until(lambda: len(notes()) == 2, "both workers are told")
    assert notes() == ["closed u u 1 True"] * 2


# --- what does not depend on the end of the line ------------------------------------------------


@pytest.fixture(params=[False, True], ids=["workers", "inline"])
def either(request: pytest.FixtureRequest, make_pool: Any, notes: Notes) -> Callable[..., Any]:
    """Makes pools of one worker, or of none."""
    arguments = {"notes": str(notes.path)}

    def make(**options: Any) -> Any:
        options = {"adapter_args": arguments, "inline": request.param, **options}
        return make_pool(KEEPER, size=1, **options)

    return make


def test_what_there_is_to_tell(either: Any) -> None:
    pool = either(session_ttl=50)
    session = pool.session("u", ttl=60)
    fresh = session.info()
    assert (fresh.home, fresh.generation, fresh.calls) == (None, 0, 0)
    session.execute("visit")
    session.execute("visit")
    pool.execute_in_session("v", "visit")
    told = session.info()
    assert told.id == "u"
    assert told.home == pool.list_workers()[0].ref
    assert (told.calls, told.in_flight, told.ttl) == (2, 0, 60.0)
    assert told.generation == session.generation > 0
    assert 0 < told.ttl_left <= 60
    assert fresh.created <= told.last_used
    assert [info.id for info in pool.sessions()] == ["u", "v"]
    assert pool.session_info("v").ttl == 50
    assert pool.stats().sessions == 2
    assert pool.session_info("w") is None


def test_sessions_end_in_the_same_ways(either: Any, notes: Notes) -> None:
    pool = either()
    session = pool.session("u", ttl=0.1)
    assert session.execute("visit")[:2] == [1, True]
    time.sleep(0.2)
    with pytest.raises(SessionExpired):
        session.execute("visit")
    with pool.session("v") as other:
        other.execute("visit")
    with pytest.raises(SessionClosed):
        other.execute("visit")
    assert pool.execute_in_session("u", "visit")[:2] == [1, True]
    until(lambda: len(notes()) == 2, "both are told")
    assert notes() == ["closed u u 1 True", "closed v v 1 True"]
    lost = pool.session("w")
    lost.execute("visit")
    pool.recycle(pool.list_workers()[0].ref)
    until(lambda: "cleanup" in notes(), "the worker is gone")
    with pytest.raises(SessionLost) as caught:
        lost.execute("visit")
    assert type(caught.value) is SessionLost


def test_only_so_many_may_be_open(either: Any) -> None:
    pool = either(max_sessions=3)
    first, *_ = [pool.session(str(n)) for n in range(3)]
    for use in (lambda: pool.session("one more"), lambda: pool.execute("visit", session="more")):
        with pytest.raises(SessionQuotaExceeded) as caught:
            use()
        assert (caught.value.limit, caught.value.may_have_run) == (3, False)
        assert "max_sessions" in str(caught.value)
    pool.session("2")
    first.close()
    assert pool.execute_in_session("more", "visit")[0] == 1
    assert len(pool.sessions()) == 3


@pytest.mark.parametrize("name", ["", "x" * 257, "é" * 129, "a\0b", "tab\t", "\x7f", "\x85"])
def test_what_is_no_id(either: Any, name: str) -> None:
    pool = either()
    for use in (
        lambda: pool.session(name),
        lambda: pool.execute("visit", session=name),
        lambda: pool.execute_in_session(name, "visit"),
        lambda: pool.execute_in_session_stream(name, "visits", {"upto": 1}),
    ):
        with pytest.raises(ConfigError) as caught:
            use()
        assert caught.value.field == "session"
    assert pool.sessions() == []
    assert pool.execute_in_session("x" * 256, "visit")[0] == 1


def test_metadata_have_a_limit(either: Any) -> None:
    pool = either()
    with pytest.raises(ConfigError, match="16384 fit") as caught:
        pool.session("u", metadata={"blob": bytes(20_000)})
    assert caught.value.field == "metadata"
    with pytest.raises(snakepit.EncodeError) as unfit:
        pool.session("u", metadata={"what": object()})
    assert unfit.value.path == 'metadata["what"]'
    assert pool.session("u", metadata={"blob": bytes(16_000)}).execute("visit")[0] == 1


def test_ten_thousand_sessions_are_one_table(make_pool: Any) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    sessions = [pool.session() for _ in range(10_000)]
    with pytest.raises(SessionQuotaExceeded):
        pool.session()
    assert sessions[0].execute("ping") == sessions[-1].execute("ping") == "pong"
    assert len(pool.sessions()) == 10_000
    assert all(session.close() for session in sessions)
    assert pool.sessions() == []


def test_a_lost_session_can_be_closed(make_pool: Any) -> None:
    pool = make_pool(KEEPER, size=1)
    session = pool.session("u")
    os.kill(session.execute("pid"), signal.SIGKILL)
    until(lambda: pool.stats().worker_deaths == 1, "the death is known")
    with pytest.raises(SessionLost):
        session.execute("pid")
    assert session.close()
    with pytest.raises(SessionClosed):
        session.execute("pid")


def test_async_sessions_are_closed_with_their_block(make_pool: Any) -> None:
    async def main() -> None:
        async with snakepit.AsyncPool(KEEPER, size=1) as pool:
            async with pool.session("u", metadata={"n": 1}) as session:
                assert (await session.execute("visit"))[:2] == [1, True]
                visits = [v[0] async for v in session.execute_stream("visits", {"upto": 2})]
                assert visits == [2, 3]
                assert await pool.execute_in_session("u", "metadata") == {"n": 1}
            with pytest.raises(SessionClosed):
                await session.execute("visit")
            other = pool.session()
            assert (await other.execute("visit", affinity="hint"))[0] == 1
            assert await other.close() is True
            pool.session("w")
            assert await pool.close_session("w") is True
            assert pool.sessions() == []

    asyncio.run(asyncio.wait_for(main(), 60))
