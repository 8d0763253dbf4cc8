"""``Pool``: what it asks of the engine, and how it ends."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, PoolStats, WorkerInfo, WorkerRef
from snakepit_bridge import BaseAdapter, tool

from .conftest import Adapter


def at_once(call: Any, reply: Any) -> None:
    reply.end({"asked": list(call)})


def test_execute_passes_what_was_asked(make_pool: Any) -> None:
    pool = make_pool(timeout=12)
    pool._engine.answer = at_once
    assert pool.execute("ping") == {"asked": ["ping", None, None, 12.0, False]}
    pool.execute("add", {"a": 1}, timeout=timedelta(seconds=3), idempotent=True)
    assert pool._engine.calls[-1] == ("add", {"a": 1}, None, 3.0, True)
    pool.execute("add", timeout=None)
    assert pool._engine.calls[-1][3] is None
    pool.execute("add", timeout=0)
    assert pool._engine.calls[-1][3] == 0.0


@pytest.mark.parametrize("verb", ["execute", "submit", "execute_stream"])
def test_a_wrong_timeout_is_refused_before_anything_is_sent(make_pool: Any, verb: str) -> None:
    pool = make_pool()
    with pytest.raises(ConfigError, match="timeout"):
        getattr(pool, verb)("ping", timeout=-1)
    assert pool._engine.calls == []


def test_submit(make_pool: Any) -> None:
    pool = make_pool()
    future = pool.submit("ping", timeout=1)
    assert not future.done()
    pool._engine.replies[0].end("pong")
    assert future.result() == "pong"


def test_names(make_pool: Any) -> None:
    pool = make_pool(name="gpu", size=3)
    assert (pool.name, pool.size, pool.closed) == ("gpu", 3, False)
    assert repr(pool) == "<Pool 'gpu' size=3 open>"
    pool.close()
    assert repr(pool) == "<Pool 'gpu' size=3 closed>"


def test_stats_are_typed(make_pool: Any) -> None:
    stats = make_pool().stats()
    assert isinstance(stats, PoolStats)
    assert (stats.requests, stats.errors, stats.queued, stats.queue_timeouts) == (0, 1, 2, 7)
    with pytest.raises(AttributeError):
        stats.requests = 5


def test_workers(make_pool: Any) -> None:
    pool = make_pool(name="gpu")
    assert pool.list_workers() == [
        WorkerInfo(WorkerRef("gpu", 0, 1), 4242, "ready", 7, 1 << 20, 2, "closed", False, "cuda:1"),
        WorkerInfo(WorkerRef("gpu", 1, 3), None, "starting", 0, None, 0, "open", True, None),
    ]
    pool.recycle(pool.list_workers()[1].ref)
    assert pool._engine.recycled == [(1, 3)]
    with pytest.raises(ConfigError, match="other/0"):
        pool.recycle(WorkerRef("other", 0, 1))


def test_leaving_the_block_drains(make_pool: Any) -> None:
    with make_pool(drain_timeout=9) as pool:
        pass
    assert pool._engine.drains == [9.0]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaving_the_block_cancels_the_rest(
    make_pool: Any, error: type[BaseException]
) -> None:
    with pytest.raises(error), make_pool(drain_timeout=9) as pool:  # noqa: PT012
        future = pool.submit("slow")
        raise error
    assert pool._engine.drains == [0.0]
    assert future.cancelled()


def test_close_takes_a_drain(make_pool: Any) -> None:
    pool = make_pool()
    pool.close(drain=timedelta(seconds=2))
    assert pool._engine.drains == [2.0]
    with pytest.raises(ConfigError, match="drain"):
        pool.close(drain=-1)


def test_await_ready(make_pool: Any) -> None:
    pool = make_pool()
    pool.await_ready()
    pool.await_ready(timedelta(seconds=1))
    pool._engine.readiness = snakepit.StartError("no")
    with pytest.raises(snakepit.StartError):
        pool.await_ready(5)


def test_a_forked_child_leaves_the_block_without_closing(make_pool: Any) -> None:
    with make_pool() as pool:
        pool._engine.owner = os.getpid() + 1
    assert pool._engine.drains == []


def test_open_pools_are_closed_at_exit() -> None:
    code = """
import sys
from face import fake_core
sys.modules['snakepit._core'] = fake_core.module()
import atexit
pools = []
atexit.register(lambda: print([p._engine.drains for p in pools]))  # runs after ours
import snakepit
pools += [snakepit.Pool('a:B', size=1), snakepit.Pool('a:B', size=1, name='other')]
pools[1].close()
"""
    tests = __file__.rpartition("/face/")[0]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[[0.0], [30.0, 0.0]]", "")


# --- map ----------------------------------------------------------------------------------------


def counted(count: int, seen: list[int]) -> Any:
    for number in range(count):
        seen.append(number)
        yield {"n": number}


def test_map_is_ordered_lazy_and_bounded(make_pool: Any) -> None:
    pool = make_pool(size=2)
    pool._engine.answer = lambda call, reply: reply.end(call[1]["n"] * 10)
    seen: list[int] = []
    results = pool.map("square", counted(10, seen), in_flight=3)
    assert seen == [], "nothing is read before the first result is asked for"
    assert next(results) == 0
    assert seen == [0, 1, 2]
    assert next(results) == 10
    assert seen == [0, 1, 2, 3]
    assert list(results) == [20, 30, 40, 50, 60, 70, 80, 90]


def test_map_keeps_the_order_whatever_ends_first(make_pool: Any) -> None:
    pool = make_pool(size=1)
    held: list[Any] = []

    def backwards(call: Any, reply: Any) -> None:
        held.append((call, reply))
        if len(held) == 2:
            for each, answered in reversed(held):
                answered.end(each[1]["n"])
            held.clear()

    pool._engine.answer = backwards
    assert list(pool.map("square", counted(6, []))) == list(range(6))


def test_map_over_fewer_items_than_may_be_in_flight(make_pool: Any) -> None:
    pool = make_pool(size=8)
    pool._engine.answer = lambda call, reply: reply.end(1)
    assert list(pool.map("square", [None, {}])) == [1, 1]
    assert list(pool.map("square", [])) == []


def test_a_failure_in_map_cancels_those_behind_it(make_pool: Any) -> None:
    pool = make_pool()

    def answer_first_two(call: Any, reply: Any) -> None:
        if call[1]["n"] < 2:
            reply.end(call[1]["n"])
        elif call[1]["n"] == 2:
            reply.end(error=ValueError("third"))

    pool._engine.answer = answer_first_two
    results = pool.map("square", counted(100, []), in_flight=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="third"):
        next(results)
    assert len(pool._engine.replies) == 6
    assert all(reply.cancelled() for reply in pool._engine.replies[3:])


def test_closing_map_cancels_what_is_under_way(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.answer = lambda call, reply: reply.end(0) if call[1]["n"] == 0 else None
    results = pool.map("square", counted(100, []), in_flight=3)
    next(results)
    results.close()
    assert [reply.cancelled() for reply in pool._engine.replies] == [False, True, True]


def test_an_error_of_the_arguments_passes_through_map(make_pool: Any) -> None:
    pool = make_pool()

    def broken() -> Any:
        yield {"n": 0}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(pool.map("square", broken()))
    assert pool._engine.replies[0].cancelled()


@pytest.mark.parametrize("in_flight", [0, -1, True, 1.5])
def test_in_flight_is_checked_at_once(make_pool: Any, in_flight: Any) -> None:
    with pytest.raises(ConfigError, match="in_flight"):
        make_pool().map("square", [], in_flight=in_flight)
    with pytest.raises(ConfigError, match="timeout"):
        make_pool().map("square", [], timeout=-1)


# --- streams ------------------------------------------------------------------------------------


def test_a_stream_is_an_iterator(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.items = [1, 2, 3]
    stream = pool.execute_stream("train", {"epochs": 3}, timeout=5)
    assert pool._engine.calls[-1] == ("train", {"epochs": 3}, None, 5.0, 300.0)
    assert iter(stream) is stream
    assert list(stream) == [1, 2, 3]
    pool.execute_stream("train", idle_timeout=None)
    assert pool._engine.calls[-1][3:] == (None, None), "no total limit unless it is given"


@pytest.mark.parametrize("face", ["Pool", "AsyncPool"])
def test_a_pool_has_limits_for_its_streams(face: str) -> None:
    pool = getattr(snakepit, face)(Adapter, size=1, stream_timeout=9, idle_timeout=None)
    pool.execute_stream("train")
    pool.execute_in_session_stream("user", "train", timeout=None, idle_timeout=3)
    pool.session("user").execute_stream("train")
    assert [call[3:5] for call in pool._engine.calls] == [(9.0, None), (None, 3.0), (9.0, None)]
    for wrong in ("stream_timeout", "idle_timeout"):
        with pytest.raises(ConfigError) as caught:
            getattr(snakepit, face)(Adapter, size=1, **{wrong: -1})
        assert caught.value.field == wrong


def test_a_stream_closes(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.items = [1, 2, 3]
    with pool.execute_stream("train") as stream:
        assert next(stream) == 1
    assert pool._engine.chunks[0].closed
    assert list(stream) == []

    for chunk in pool.execute_stream("train"):
        assert chunk == 1
        break
    assert pool._engine.chunks[1].closed, "dropped by the loop"


def test_on_chunk(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.items = [1, 2, 3]
    seen: list[int] = []
    assert pool.execute_stream("train", on_chunk=seen.append) is None
    assert seen == [1, 2, 3]
    assert pool._engine.chunks[0].closed


def test_a_raising_callback_cancels_the_stream(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.items = [1, 0, 3]
    seen: list[float] = []
    with pytest.raises(ZeroDivisionError):
        pool.execute_stream("train", on_chunk=lambda chunk: seen.append(1 / chunk))
    assert seen == [1.0]
    assert pool._engine.chunks[0].closed


def test_an_error_of_the_stream_comes_after_its_chunks(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.items = [1, snakepit.WorkerDied("died", signal="SIGKILL")]
    stream = pool.execute_stream("train")
    assert next(stream) == 1
    with pytest.raises(snakepit.WorkerDied):
        next(stream)


# --- sessions -----------------------------------------------------------------------------------


def test_sessions(make_pool: Any) -> None:
    pool = make_pool(affinity="hint")
    pool._engine.answer = at_once
    session = pool.session("user_42")
    assert (session.id, session.affinity, session.generation) == ("user_42", "hint", 0)
    assert repr(session) == "<Session 'user_42' of pool 'default'>"
    strict = pool.session("user_42", affinity="strict_fail_fast")
    assert strict.affinity == strict._native.affinity == "strict_fail_fast"

    with session as same:
        assert same is session
        session.execute("load", {"name": "x"}, timeout=1)
        assert pool._engine.calls[-1] == ("load", {"name": "x"}, session._native, 1.0, False)
        session.submit("load")
        assert pool._engine.calls[-1][2] is session._native
        session.execute_stream("train")
        assert pool._engine.calls[-1][2] is session._native
        session.execute_stream("train", on_chunk=print)
        assert pool._engine.calls[-1][2] is session._native


def test_sessions_by_id(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.answer = at_once
    for start in (
        lambda: pool.execute("load", session="u"),
        lambda: pool.execute_in_session("u", "load"),
        lambda: pool.submit("load", session="u"),
        lambda: pool.execute_stream("load", session="u"),
        lambda: pool.execute_in_session_stream("u", "load"),
        lambda: pool.execute_in_session_stream("u", "load", on_chunk=print),
        lambda: list(pool.map("load", [None], session="u")),
    ):
        start()
        native = pool._engine.calls[-1][2]
        assert (native.id, native.affinity) == ("u", None)


def test_what_the_pool_and_its_workers_are(make_pool: Any) -> None:
    info = make_pool(size=2, profile="thread", threads_per_worker=4).info()
    assert (info.name, info.profile, info.size, info.capacity) == ("default", "thread", 2, 4)
    first, second = info.workers
    assert (first.ref, first.running) == (snakepit.WorkerRef("default", 0, 1), 2)
    assert first.python == snakepit.PythonInfo("3.13.5", True, "old_module")
    assert first.reports == ("module old_module switched it on",)
    assert (second.ref.generation, second.python, second.reports) == (3, None, ())


def test_an_inline_pool_runs_one_call_at_a_time_whatever_its_profile() -> None:
    class Threads(BaseAdapter):
        __thread_safe__ = True

        @tool
        def ping(self) -> str:
            return "pong"

    with snakepit.Pool(Threads, size=1, inline=True, profile="thread") as pool:
        info = pool.info()
        assert (info.profile, info.capacity, len(info.workers)) == ("process", 1, 1)
        assert info.workers[0].python.version == sys.version.split()[0]


def test_a_session_is_opened_at_once_and_closed_with_its_block(make_pool: Any) -> None:
    pool = make_pool()
    with pool.session("u", ttl=timedelta(minutes=1), metadata={"plan": "pro"}) as session:
        assert session._native.opening == (60.0, {"plan": "pro"})
        assert [info.id for info in pool.sessions()] == ["u"]
        assert not session.closed
    assert session.closed
    assert pool.sessions() == []
    assert session.info() is None
    assert session.close() is False
    with pytest.raises(ValueError, match="passes through"), pool.session("v"):
        raise ValueError("passes through")
    assert pool.session_info("v") is None
    pool.session("w")
    assert (pool.close_session("w"), pool.close_session("w")) == (True, False)


def test_a_session_without_an_id_has_one_of_its_own(make_pool: Any) -> None:
    pool = make_pool()
    first, second = pool.session(), pool.session()
    assert first.id != second.id
    assert len(first.id) == 32
    assert first._native.opening == (None, None)
    assert pool.session(ttl=None)._native.opening == (math.inf, None), "no limit"


def test_what_there_is_to_tell_of_sessions(make_pool: Any) -> None:
    pool = make_pool(name="p")
    session = pool.session("u")
    pool.session("older")
    assert [info.id for info in pool.sessions()] == ["older", "u"]
    told = session.info()
    assert told.home == snakepit.WorkerRef("p", 1, 3)
    assert (told.generation, told.calls, told.in_flight) == (7, 5, 1)
    assert (told.ttl, told.ttl_left, told.metadata) == (60.0, 58.0, {"k": 1})
    assert told.last_used - told.created == timedelta(seconds=98)
    assert told.created.tzinfo is not None
    assert pool.session_info("other") is None


def test_a_call_may_have_an_affinity_of_its_own(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.answer = lambda call, reply: reply.end()
    session = pool.session("u", affinity="strict_queue")
    for call in (
        lambda: session.execute("load", affinity="hint"),
        lambda: session.submit("load", affinity="hint"),
        lambda: session.execute_stream("load", affinity="hint"),
        lambda: pool.execute_in_session("u", "load", affinity="hint"),
        lambda: pool.execute_in_session_stream("u", "load", affinity="hint"),
    ):
        call()
        native = pool._engine.calls[-1][2]
        assert (native.id, native.affinity) == ("u", "hint")
    for wrong in (
        lambda: session.execute("load", affinity="hnit"),
        lambda: pool.execute_in_session("u", "load", affinity="hnit"),
    ):
        with pytest.raises(ConfigError, match="affinity") as caught:
            wrong()
        assert caught.value.suggestion == "hint"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", "5"),
        ("ttl", timedelta()),
        ("metadata", [("a", 1)]),
        ("metadata", {1: 2}),
    ],
)
def test_what_no_session_can_have(make_pool: Any, field: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pool().session("u", **{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("session", ["", 7, b"u", ()])
def test_what_is_no_session(make_pool: Any, session: Any) -> None:
    pool = make_pool()
    for start in (lambda: pool.session(session), lambda: pool.execute("load", session=session)):
        with pytest.raises(ConfigError, match="session"):
            start()


def test_a_session_of_another_pool_is_refused(make_pool: Any) -> None:
    session = make_pool(name="other").session("u")
    with pytest.raises(ConfigError, match="another pool"):
        make_pool().execute("load", session=session)


def test_an_unknown_affinity(make_pool: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pool().session("u", affinity="strict")
    assert caught.value.field == "affinity"


def test_no_pool_is_left_of_a_wrong_one() -> None:
    before = set(snakepit._exit.open_pools)
    with pytest.raises(ConfigError):
        snakepit.Pool(Adapter, size=0)
    assert set(snakepit._exit.open_pools) == before


@pytest.mark.parametrize(
    ("use", "field"),
    [
        (lambda pool: pool.execute("\ud800"), "tool"),
        (lambda pool: pool.submit("\ud800"), "tool"),
        (lambda pool: list(pool.map("\ud800", [None])), "tool"),
        (lambda pool: pool.execute_stream("\ud800"), "tool"),
        (lambda pool: pool.session("\ud800"), "session"),
        (lambda pool: pool.execute("load", session="\ud800"), "session"),
        (lambda pool: pool.execute_in_session("\ud800", "load"), "session"),
    ],
)
def test_a_name_that_is_no_text(make_pool: Any, use: Any, field: str) -> None:
    with pytest.raises(snakepit.ConfigError) as caught:
        use(make_pool())
    assert caught.value.field == field
    assert "\\ud800" in str(caught.value), "the text can be printed"


def test_what_fails_inside_of_an_argument_is_not_blamed_on_the_name(make_pool: Any) -> None:
    pool = make_pool()

    def answer(call: Any, reply: Any) -> None:
        "\ud800".encode()

    pool._engine.answer = answer
    with pytest.raises(UnicodeEncodeError):
        pool.execute("load")
