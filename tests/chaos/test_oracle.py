"""The oracle of the chaos run: it accepts what can be explained, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit import (
    CallTimeout,
    Cancelled,
    PoisonCall,
    PoolClosed,
    QueueFull,
    SessionBusy,
    SessionLost,
    WorkerDied,
    WorkerRef,
)
from snakepit.errors import remote_error

from .census import Holdings
from .ledger import Ledger
from .oracle import (
    COUNTS_FOR,
    LETHAL_TOOLS,
    OUTLIVED,
    Call,
    Chunks,
    Oracle,
    SessionModel,
    expected,
)
from .run import MOST_DESCRIPTORS, MOST_MEMORY, grown

HOME = WorkerRef("pool", 0, 3)
OTHER = WorkerRef("pool", 0, 4)
SIGNALS = ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT"]


def call(tool: str = "work", **asked: Any) -> Call:
    args = {"number": 7, "seconds": 0.1, "data": b"abc", "size": 3, "mebibytes": 2}
    args |= {"code": 5, "name": "SIGSEGV", "upto": 3}
    return Call(7, "pool", tool, args, began=10.0, ended=12.0, **asked)


def died(worker: WorkerRef | None = HOME, kind: type = WorkerDied, **fields: Any) -> WorkerDied:
    return kind("died", worker=worker, **fields)


@given(st.sampled_from(["echo", "digest", "grow", "work", "heed", "seize", "flood", "allocate"]))
def test_only_the_right_answer_is_right(tool: str) -> None:
    asked = call(tool)
    right = expected(tool, asked.args)
    assert Oracle().answer(asked, right) is None
    assert Oracle().answer(asked, [8, *right[1:]]), "another call's answer"
    assert Oracle().answer(call(tool, given_up=11.0), right), "a late answer"


@pytest.mark.parametrize("tool", [*sorted(LETHAL_TOOLS), "fail"])
def test_who_cannot_answer_must_not(tool: str) -> None:
    assert Oracle().answer(call(tool), [7])


@given(signal=st.sampled_from(SIGNALS), at=st.floats(0, 20), told=st.sampled_from(SIGNALS))
def test_a_death_needs_a_fault_on_that_worker_before_it(signal: str, at: float, told: str) -> None:
    oracle = Oracle()
    oracle.harm(HOME, at, signal)
    explained = at <= 12.0 and signal == told
    assert (oracle.error(call(), died(signal=told)) is None) == explained
    assert oracle.error(call(), died(OTHER, signal=told)), "a bystander"
    assert oracle.error(call(), died(None, signal=told)), "nobody"


def test_a_killed_shim_explains_its_workers_death_only() -> None:
    oracle = Oracle()
    oracle.harm(HOME, 11.0, "shim SIGKILL")
    assert oracle.error(call(), died(cause="shim")) is None
    assert oracle.error(call(), died(exit_code=1, cause="exit_1"))
    assert oracle.error(call(), died(OTHER, cause="shim"))


def test_a_tool_that_ends_its_worker_explains_itself_and_no_other_call() -> None:
    oracle, asked, error = Oracle(), call("leave"), died(exit_code=5)
    oracle.learn(asked, error)
    assert oracle.error(asked, error) is None
    assert oracle.error(asked, died(exit_code=6))
    assert oracle.error(call("crash"), died(signal="SIGSEGV")) is None
    assert oracle.error(call(), error), "a plain call behind it"


@pytest.mark.parametrize("cause", ["deadline", "cancel", "recycle_calls", "stall"])
def test_no_call_dies_of_what_the_pool_does_to_others(cause: str) -> None:
    oracle = Oracle(recycles={"pool"})
    oracle.learn(call(timeout=1.0), CallTimeout("late", worker=HOME))
    assert oracle.error(call(), died(cause=cause, signal="SIGKILL"))


@given(st.floats(0.001, 5), st.floats(0, 5))
def test_a_deadline_is_asked_for_and_not_early(timeout: float, took: float) -> None:
    asked = call(timeout=timeout)
    asked.ended = asked.began + took
    fine = Oracle().error(asked, CallTimeout("late")) is None
    assert fine == (asked.ended - asked.began >= timeout - 0.01)
    assert Oracle().error(call(), CallTimeout("late"))


def test_who_is_cancelled_was_given_up() -> None:
    assert Oracle().error(call(given_up=11.0), Cancelled("no")) is None
    assert Oracle().error(call(), Cancelled("no"))


def test_a_closed_pool_explains_what_ends_with_it_from_then_on() -> None:
    oracle = Oracle()
    oracle.closing("pool", 11.0)
    for error in (PoolClosed("c"), Cancelled("c"), SessionLost("c"), died(cause="close")):
        assert oracle.error(call(), error) is None
        assert Oracle().error(call(), error)
    assert oracle.error(call(), died(cause="signal_9", signal="SIGKILL"))
    early = call()
    early.ended = 10.5
    assert oracle.error(early, PoolClosed("c"))


def lost(cause: str, worker: WorkerRef | None = HOME) -> SessionLost:
    return SessionLost("lost", cause=cause, worker=worker)


def test_sessions_are_lost_with_their_home() -> None:
    oracle, told = Oracle(), lost("its worker died")
    assert oracle.error(call(session="s"), told), "nothing was done to it"
    oracle.harm(HOME, 11.0, "SIGKILL")
    assert oracle.error(call(session="s", home=HOME), told) is None
    assert oracle.error(call(session="s"), told) is None, "its first call"
    assert oracle.error(call(session="s"), lost("its worker is gone")) is None
    assert oracle.error(call(), told), "without a session"
    assert oracle.error(call(session="s"), lost("its worker died", OTHER)), "not that generation"
    assert oracle.error(call(session="s"), lost("its worker died", None)), "of no home"
    assert oracle.error(call(session="s", home=OTHER), told), "it lived elsewhere"
    assert oracle.error(call(session="s"), lost(OUTLIVED)), "another reason"
    late = Oracle()
    late.harm(HOME, 12.5, "SIGKILL")
    assert late.error(call(session="s"), told), "before anything was done"


def test_no_session_loses_a_worker_that_lives() -> None:
    oracle = Oracle(recycles={"pool"}, living={HOME})
    oracle.harm(HOME, 11.0, "SIGKILL")
    for cause in ("its worker died", "its worker was recycled", "its worker is gone"):
        assert oracle.error(call(session="s"), lost(cause))


def test_a_tool_that_ends_its_worker_explains_the_sessions_of_that_worker() -> None:
    oracle = Oracle()
    oracle.learn(call("leave"), died(exit_code=5))
    assert oracle.error(call(session="s"), lost("its worker died")) is None
    assert oracle.error(call(session="s"), lost("its worker died", OTHER))


@pytest.mark.parametrize("cause", ["its worker was recycled", "its worker is gone"])
def test_a_recycled_worker_is_lost_where_the_pool_recycles(cause: str) -> None:
    assert Oracle(recycles={"pool"}).error(call(session="s"), lost(cause)) is None
    assert Oracle(recycles={"other"}).error(call(session="s"), lost(cause))
    assert Oracle(recycles={"pool"}).error(call(session="s"), lost("its worker died"))


@given(ago=st.floats(-5, 2 * COUNTS_FOR), pool=st.sampled_from(["pool", "other"]))
def test_a_worker_killed_for_a_call_needs_one_that_was_given_up_there(
    ago: float, pool: str
) -> None:
    oracle, asked = Oracle(), call(session="s")
    oracle.given_up[pool].append(asked.ended - ago)
    explained = pool == "pool" and 0 <= asked.ended - (asked.ended - ago) <= COUNTS_FOR
    assert (oracle.error(asked, lost(OUTLIVED)) is None) == explained
    assert oracle.error(asked, lost("its worker was killed: it broke the protocol"))


def test_other_errors_need_what_they_say() -> None:
    oracle = Oracle()
    raised = remote_error("no", type_name="ValueError", remote_message="call 7")
    assert oracle.error(call("fail"), raised) is None
    assert oracle.error(call("work"), raised)
    assert oracle.error(call(fail_fast=True), SessionBusy("busy")) is None
    assert oracle.error(call(), SessionBusy("busy"))
    assert oracle.error(call(), QueueFull("full"))
    assert oracle.error(call(), ValueError("what?"))
    oracle.harm(HOME, 11.0, "SIGKILL")
    assert oracle.error(call(), died(kind=PoisonCall, signal="SIGKILL")), "tried again"
    assert oracle.error(call(idempotent=True), died(kind=PoisonCall, signal="SIGKILL")) is None


@given(st.lists(st.integers(0, 4), max_size=6))
def test_chunks_come_in_order_and_all(numbers: list[int]) -> None:
    check = Chunks(call("count"))
    wrong = [check.take([7, number, bytes([number]) * 3]) for number in numbers]
    right = numbers == list(range(len(numbers)))
    assert (not any(wrong)) == right
    assert (not any(wrong) and check.end() is None) == (numbers == [0, 1, 2])


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 3))
def test_a_session_counts_what_answered_and_what_may_have(ran: list[bool], unknown: int) -> None:
    """Whichever of the calls that were given up did run, the count fits; one more does not."""
    model, count = SessionModel("pool"), 0
    for did in ran:
        model.may_have_run()
        count += did
    assert model.answered([7, [0, 3], count + 1, count == 0]) is None
    assert model.answered([7, [0, 3], count + 1, False]), "the same count twice"
    assert model.answered([7, [0, 3], count + 3, False]), "a call that nobody made"
    assert model.answered([7, [0, 4], count + 2, False]), "another worker"
    for _ in range(unknown):
        model.may_have_run()
    assert model.answered([7, [0, 3], count + 2, False]) is None


def test_the_ledger_wants_one_end_for_each_call() -> None:
    ledger = Ledger()
    one = ledger.begin("pool", "work", {"seconds": 0})
    assert not ledger.settled()
    ledger.answer(one, [one.number])
    assert ledger.settled()
    assert not ledger.wrong
    ledger.answer(one, [one.number])
    assert "ended twice" in ledger.told()


def test_growth_is_told_and_noise_is_not() -> None:
    flat = Holdings(50, 5, 40 << 20)
    assert grown([flat] * 9) is None
    assert grown([flat, flat._replace(memory=400 << 20), flat, flat]) is None
    assert grown([]) is None
    leaking = [flat._replace(descriptors=50 + each * MOST_DESCRIPTORS) for each in range(6)]
    assert "descriptors" in (grown(leaking) or "")
    fat = [flat._replace(memory=each * MOST_MEMORY) for each in range(6)]
    assert "memory" in (grown(fat) or "")
