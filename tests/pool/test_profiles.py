"""Workers that run several calls at once, over both ends of the line."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import snakepit
from snakepit import CallTimeout, EncodeError, RemoteError, StartError, WorkerDied

from .conftest import Gates, until

THREADS, COROUTINES = "pool.overlapping:Threads", "pool.overlapping:Coroutines"


@pytest.fixture(params=["native", "grpcio"])
def line(request: pytest.FixtureRequest) -> str:
    if request.param == "grpcio":
        pytest.importorskip("grpc", reason="the grpcio end needs its packages")
    return str(request.param)


def _threads(make_pool: Any, line: str) -> Any:
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=4, line=line)
    pool.await_ready(60)
    return pool


def _coroutines(make_pool: Any, line: str) -> Any:
    pool = make_pool(COROUTINES, size=1, profile="async", max_in_flight=8, line=line)
    pool.await_ready(60)
    return pool


@pytest.fixture
def threads(make_pool: Any, line: str) -> Any:
    """One worker of four threads."""
    return _threads(make_pool, line)


@pytest.fixture
def coroutines(make_pool: Any, line: str) -> Any:
    """One worker of eight coroutines at once."""
    return _coroutines(make_pool, line)


@pytest.fixture(params=[_threads, _coroutines], ids=["thread", "async"])
def either(request: pytest.FixtureRequest, make_pool: Any, line: str) -> Any:
    return request.param(make_pool, line)


# --- at once ------------------------------------------------------------------------------------


def test_threads_of_one_worker_run_at_once_each_in_its_own_context(
    threads: Any, gates: Gates
) -> None:
    with threads.session("left") as left, threads.session("right") as right:
        meets = [
            left.submit("meet", {"me": gates("a"), "other": gates("b")}),
            right.submit("meet", {"me": gates("b"), "other": gates("a")}),
        ]
        assert [call.result(60) for call in meets] == [["left", True, True], ["right", True, True]]


def test_coroutines_run_at_once_on_one_loop_each_in_its_own_context(
    either: Any, gates: Gates
) -> None:
    with either.session("left") as left, either.session("right") as right:
        meets = [
            left.submit("meet_in_turn", {"me": gates("a"), "other": gates("b")}),
            right.submit("meet_in_turn", {"me": gates("b"), "other": gates("a")}),
        ]
        assert [call.result(60) for call in meets] == [["left", True, True], ["right", True, True]]


def test_a_coroutine_and_a_thread_run_at_once(threads: Any, gates: Gates) -> None:
    one = threads.submit("meet", {"me": gates("a"), "other": gates("b")})
    other = threads.submit("meet_in_turn", {"me": gates("b"), "other": gates("a")})
    assert [one.result(60)[1], other.result(60)[1]] == [True, True]


def test_in_the_async_profile_plain_tools_run_on_the_loop(coroutines: Any) -> None:
    assert coroutines.execute("where") is True
    assert coroutines.execute("thread") == "snakepit-loop"


def test_one_more_call_than_a_worker_can_run_waits(threads: Any, gates: Gates) -> None:
    held = [
        threads.submit("hold", {"started": gates(f"s{n}"), "release": gates("go")})
        for n in range(5)
    ]
    for n in range(4):
        gates.wait(f"s{n}")
    until(lambda: threads.stats().queued == 1, "the fifth waits")
    assert not gates.opened("s4")
    assert threads.info().workers[0].running == 4
    gates.open("go")
    assert len({call.result(60) for call in held}) == 1


def test_work_goes_to_the_least_loaded_worker(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(THREADS, size=2, profile="thread", threads_per_worker=2)
    pool.await_ready(60)
    held = [
        pool.submit("hold", {"started": gates(f"s{n}"), "release": gates("go")}) for n in range(4)
    ]
    for n in range(4):
        gates.wait(f"s{n}")
    gates.open("go")
    pids = [call.result(60) for call in held]
    assert pids[:2] == pids[2:]
    assert len({*pids}) == 2


def test_many_calls_of_many_callers_all_arrive(either: Any) -> None:
    with ThreadPoolExecutor(8) as callers:
        pids = {*callers.map(lambda _: either.execute("pid", timeout=60), range(400))}
    assert len(pids) == 1
    stats = either.stats()
    assert (stats.completed, stats.running, stats.queued) == (400, 0, 0)


# --- failures -----------------------------------------------------------------------------------


def test_what_a_tool_raises_is_told_from_its_own_code_on(threads: Any) -> None:
    for tool in ("fail", "raise_in_turn"):
        with pytest.raises(RemoteError) as caught:
            threads.execute(tool, {"text": "no such thing"})
        error = caught.value
        assert (error.type_name, error.remote_message) == ("LookupError", "no such thing")
        assert "snakepit_bridge" not in error.remote_traceback
        assert "overlapping.py" in error.remote_traceback
    assert threads.execute("stats")["active_requests"] == 1, "this very call"


def test_what_a_coroutine_raises_arrives(coroutines: Any) -> None:
    with pytest.raises(RemoteError, match="no such thing"):
        coroutines.execute("raise_in_turn", {"text": "no such thing"})
    with pytest.raises(snakepit.ToolNotFound) as caught:
        coroutines.execute("raise_in_turm", {})
    assert caught.value.suggestions[0] == "raise_in_turn"


def test_a_death_is_told_to_all_whose_calls_ran(either: Any, gates: Gates) -> None:
    held = [
        either.submit("meet_in_turn", {"me": gates(f"s{n}"), "other": gates("never")})
        for n in range(2)
    ]
    gates.wait("s0")
    gates.wait("s1")
    killer = either.submit("die", {"other": gates("go")})
    gates.open("go")
    for call in (*held, killer):
        with pytest.raises(WorkerDied) as caught:
            call.result(60)
        assert caught.value.may_have_run
    assert either.execute("pid", timeout=60) > 0


# --- deadlines and cancels ----------------------------------------------------------------------


def test_a_call_that_does_not_stop_costs_no_bystander_anything(
    make_pool: Any, line: str, gates: Gates
) -> None:
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=3, line=line)
    pool.await_ready(60)
    bystander = pool.submit("hold", {"started": gates("b"), "release": gates("go")})
    gates.wait("b")
    with pytest.raises(CallTimeout) as caught:
        pool.execute("hold", {"started": gates("s"), "release": gates("never")}, timeout=0.5)
    assert caught.value.may_have_run
    until(lambda: pool.info().workers[0].ref.generation == 2, "a replacement takes its place")
    fresh = pool.execute("pid", timeout=60)
    gates.open("go")
    assert bystander.result(60) != fresh, "it ran to its end where it was"
    until(lambda: pool.stats().restart_reasons.get("deadline") == 1, "then that worker is ended")


def test_what_runs_beside_it_has_the_condemn_drain(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(
        THREADS, size=1, profile="thread", threads_per_worker=2, condemn_drain=0.5, grace=0.2
    )
    pool.await_ready(60)
    bystander = pool.submit("hold", {"started": gates("b"), "release": gates("never")})
    gates.wait("b")
    with pytest.raises(CallTimeout):
        pool.execute("hold", {"started": gates("s"), "release": gates("never")}, timeout=0.2)
    with pytest.raises(WorkerDied) as caught:
        bystander.result(60)
    assert (caught.value.cause, caught.value.may_have_run) == ("deadline", True)


def test_a_coroutine_that_clings_condemns_its_worker_too(
    make_pool: Any, line: str, gates: Gates
) -> None:
    pool = make_pool(COROUTINES, size=1, profile="async", line=line)
    pool.await_ready(60)
    bystander = pool.submit("meet_in_turn", {"me": gates("b"), "other": gates("go")})
    gates.wait("b")
    clinging = pool.submit("cling", {"started": gates("s")})
    gates.wait("s")
    assert clinging.cancel()
    until(lambda: pool.info().workers[0].ref.generation == 2, "a replacement takes its place")
    assert pool.execute("pid", timeout=60) > 0
    gates.open("go")
    assert bystander.result(60)[1] is True


def test_a_call_that_stops_costs_nothing(either: Any, gates: Gates) -> None:
    pid = either.execute("pid")
    call = either.submit("hold_in_turn", {"started": gates("s"), "ended": gates("e")})
    gates.wait("s")
    assert call.cancel()
    gates.wait("e")
    with pytest.raises(CallTimeout):
        either.execute("hold_in_turn", {"started": gates("s2"), "ended": gates("e2")}, timeout=0.3)
    gates.wait("e2")
    assert either.execute("pid") == pid


def test_a_thread_may_look_whether_it_is_cancelled(threads: Any, gates: Gates) -> None:
    pid = threads.execute("pid")
    call = threads.submit("hold_politely", {"started": gates("s"), "ended": gates("e")})
    gates.wait("s")
    assert call.cancel()
    gates.wait("e")
    assert threads.execute("pid") == pid


# --- streams ------------------------------------------------------------------------------------


def test_streams_at_once_keep_their_orders_and_contexts(either: Any) -> None:
    def read(tool: str, name: str) -> list[Any]:
        with either.session(name) as session:
            return [item[:2] for item in session.execute_stream(tool, {"upto": 3000})]

    tools = ["count", "count_in_turn"] * 2
    with ThreadPoolExecutor(4) as callers:
        read_all = list(callers.map(read, tools, "abcd"))
    assert read_all == [[[name, n] for n in range(3000)] for name in "abcd"]


def test_a_slow_reader_holds_nobody_else_up(either: Any, gates: Gates) -> None:
    slow = either.execute_stream("count", {"upto": 100_000, "size": 100, "ended": gates("e")})
    assert next(slow)[1] == 0
    fast = either.execute_stream("count", {"upto": 5000, "size": 100})
    assert sum(1 for _ in fast) == 5000
    assert not gates.opened("e"), "its window is full"
    slow.close()
    gates.wait("e")
    assert either.execute("pid") > 0


def test_a_reader_that_goes_closes_an_async_generator(either: Any, gates: Gates) -> None:
    items = either.execute_stream("count_in_turn", {"upto": 100_000, "ended": gates("e")})
    assert next(items)[1] == 0
    items.close()
    gates.wait("e")


def test_an_item_that_cannot_travel_ends_its_stream(either: Any, gates: Gates) -> None:
    items = either.execute_stream("unfit", {"ended": gates("e")})
    assert next(items) == 1
    with pytest.raises(EncodeError):
        next(items)
    gates.wait("e")


# --- life ---------------------------------------------------------------------------------------


def test_an_adapter_that_does_not_say_that_it_is_thread_safe_does_not_start(
    make_pool: Any, line: str
) -> None:
    pool = make_pool("pool.overlapping:Silent", size=1, profile="thread", line=line)
    with pytest.raises(StartError, match="__thread_safe__ = True") as caught:
        pool.execute("ping", timeout=60)
    assert "Silent does not say" in str(caught.value)
    assert 'profile="process"' in str(caught.value)


def test_a_subclass_inherits_that(make_pool: Any) -> None:
    pool = make_pool("pool.overlapping:Inherits", size=1, profile="thread")
    assert pool.execute("thread", timeout=60).startswith("snakepit-call-")


def test_a_pool_that_closes_lets_its_workers_clean_up(make_pool: Any, gates: Gates) -> None:
    for profile, adapter in (("thread", THREADS), ("async", COROUTINES)):
        pool = make_pool(adapter, size=1, profile=profile, adapter_args={"cleaned": gates(profile)})
        pool.execute("pid", timeout=60)
        pool.close()
        assert gates.opened(profile)


def test_a_recycled_worker_is_followed_by_one_that_started_before(
    threads: Any, gates: Gates
) -> None:
    old = threads.execute("pid")
    held = threads.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    threads.recycle(threads.list_workers()[0].ref)
    until(lambda: threads.execute("pid") != old, "the fresh one serves")
    gates.open("go")
    assert held.result(60) == old


def test_signal_handlers_of_the_adapter_run_while_calls_do(either: Any) -> None:
    assert either.execute("signal", timeout=60) is True


def test_threads_share_the_cores(make_pool: Any) -> None:
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=200)
    assert pool.execute("environment", {"names": ["OMP_NUM_THREADS"]}, timeout=60) == ["1"]


def test_info_says_what_workers_run_in(either: Any) -> None:
    info = either.info()
    assert (info.profile, info.capacity) in (("thread", 4), ("async", 8))
    assert (info.name, info.size, len(info.workers)) == ("default", 1, 1)
    detail = info.workers[0]
    assert detail.ref == either.list_workers()[0].ref
    assert detail.python is not None
    assert detail.python.version == sys.version.split()[0]
    assert detail.python.gil is getattr(sys, "_is_gil_enabled", lambda: True)()
    assert (detail.python.gil_enabled_by, detail.reports) == (None, ())


def test_tools_tell_whether_they_may_overlap_with_themselves(threads: Any) -> None:
    tools = {tool.name: tool.thread_safe for tool in threads.tools(timeout=60)}
    assert (tools["meet"], tools["meet_in_turn"], tools["unmarked"]) == (True, True, False)


# --- checks -------------------------------------------------------------------------------------


def test_the_checks_report_what_threads_do_to_each_other(
    make_pool: Any, line: str, gates: Gates
) -> None:
    pool = make_pool(
        THREADS,
        size=1,
        profile="thread",
        threads_per_worker=4,
        thread_safety_checks=True,
        line=line,
    )
    pool.execute("write", {"locked": True}, timeout=60)
    meets = [
        pool.submit("meet", {"me": gates("a"), "other": gates("b")}),
        pool.submit("meet", {"me": gates("b"), "other": gates("a")}),
    ]
    assert all(call.result(60)[1] for call in meets)
    assert pool.info().workers[0].reports == ()

    pool.execute("write", {"locked": False})
    calls = [
        pool.submit("unmarked", {"me": gates("c"), "other": gates("d")}),
        pool.submit("unmarked", {"me": gates("d"), "other": gates("c")}),
    ]
    for call in calls:
        call.result(60)
    reports = until(
        lambda: (told := pool.info().workers[0].reports) and len(told) == 2 and told, "two reports"
    )
    assert "attribute 'config' of Threads was changed by tool 'write' without" in reports[0]
    assert "tool 'unmarked' ran in 2 threads at once and lacks @thread_safe_method" in reports[1]
