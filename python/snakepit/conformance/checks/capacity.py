"""Several calls at once in one worker, where the host wants that and the worker does not refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from snakepit import _core
from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    expect_exit,
    expect_failure,
    expect_quiet,
    expect_started,
    expect_well,
    plain_words,
    ready,
)
from snakepit.conformance.checks.calls import about
from snakepit.conformance.checks.streams import expect_cancelled, expect_end
from snakepit.conformance.host import ScriptedHost, shown
from snakepit.conformance.protocol import messages

CAPACITY = 3
FEW = 10
MANY = 2500


def _in_each_profile(judge: Callable[[Bench, ScriptedHost], None]) -> Callable[[Bench], None]:
    """Judges a worker of ``CAPACITY`` calls at once, of each profile that has several."""

    def judge_each(bench: Bench) -> None:
        refused = []
        for profile in ("THREAD", "ASYNC"):
            with _several(bench, profile) as host:
                if host is None:
                    refused.append(profile)
                else:
                    judge(bench, host)
        if len(refused) == 2:
            raise Skip("it runs one call at a time, and says so")

    return judge_each


@contextmanager
def _several(bench: Bench, profile: str) -> Iterator[ScriptedHost | None]:
    order = {"profile": f"PROFILE_{profile}", "capacity": CAPACITY}
    with bench.fresh(initialize=order) as host, plain_words():
        answer = host.handshake()
        kind = type(answer).__name__
        if kind not in ("Ready", "StartFailed"):
            raise Violation("Ready or StartFailed as the answer to Initialize", shown(answer))
        yield host if kind == "Ready" else None


@check("profile-unknown", "a profile that it does not know is PROCESS", "initialize")
def unknown(bench: Bench) -> None:
    with bench.fresh(initialize={"profile": 99, "capacity": 1}) as host, plain_words():
        ready(host)
        expect_well(host)


@check("at-once", "so many calls as its capacity run at once, each answered as it ends", "calls")
@_in_each_profile
def at_once(bench: Bench, host: ScriptedHost) -> None:
    files = [bench.file() for _ in range(CAPACITY)]
    first, second, third = [host.call("wait", started=str(file)) for file in files]
    for file in files:
        expect_started(host, file)
    for cancelled in (second, third):
        host.cancel(cancelled)
        told = host.failure(cancelled)
        expect_failure(told, "CANCELLED", after="for the one call of several that was cancelled")
    expect_quiet(host, "for a call that nobody cancelled")
    # There is room again, and nothing waits behind the call that runs on.
    expect_well(host)
    host.cancel(first)
    expect_failure(host.failure(first), "CANCELLED", after="for the last call")


@check("streams-at-once", "a stream that waits for its reader holds up no other", "streams")
@_in_each_profile
def streams(bench: Bench, host: ScriptedHost) -> None:
    slow = host.stream("count", upto=1 << 40, window_items=FEW)
    seen: list[Any] = []
    while len(seen) < FEW:
        seen += host.chunk(slow)
    items, end = host.read(host.stream("count", upto=MANY))
    expect_end(end)
    expect(True, items == list(range(MANY)), f"the items 0 to {MANY - 1} of the other stream")
    host.grant(slow, FEW, sum(len(_core.encode(number)) for number in range(FEW)))
    while len(seen) < 2 * FEW:
        seen += host.chunk(slow)
    expect(list(range(2 * FEW)), seen, "the items of the slow stream")
    expect_cancelled(host, slow)


@check("sessions-at-once", "a session ends while calls of others run", "endsession")
@_in_each_profile
def sessions(bench: Bench, host: ScriptedHost) -> None:
    started = bench.file()
    other = {"session_id": "s1", "session_new": True, "session_generation": 1}
    waiting = host.call("wait", call=other, started=str(started))
    expect_started(host, started)
    for generation in (2, 3):
        fields = {"session_id": "s2", "session_new": True, "session_generation": generation}
        expect(("s2", True), _session(host, fields), "session and new")
        over = messages().EndSession(session_id="s2", session_generation=generation)
        host.send(end_session=over)
    expect_quiet(host, "after EndSession, while a call of another session runs")
    host.cancel(waiting)
    expect_failure(host.failure(waiting), "CANCELLED", after="for the call of the other session")


def _session(host: ScriptedHost, fields: dict[str, Any]) -> tuple[Any, Any]:
    told = about(host, fields)
    return told.get("session"), told.get("new")


@check("drain-at-once", "after Drain it answers all that run, whichever ends first", "drain")
@_in_each_profile
def drain(bench: Bench, host: ScriptedHost) -> None:
    files = [bench.file() for _ in range(2)]
    calls = [host.call("wait", started=str(file)) for file in files]
    for file in files:
        expect_started(host, file)
    host.send(drain={})
    for call in reversed(calls):
        host.cancel(call)
        expect_failure(host.failure(call), "CANCELLED", after="for a call that ran at Drain")
    last = host.frame()
    if last is not None:
        raise Violation("the end of the line after Drain", str(last))
    expect_exit(host, "after Drain", code=0)
