"""The shared page, for workers whose Hello says that they honour it."""

from __future__ import annotations

from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    expect_quiet,
    expect_started,
    expect_well,
    plain_words,
    ready,
)
from snakepit.conformance.host import ScriptedHost, until
from snakepit.conformance.page import CONDEMNED, DONE, NAMES, QUEUED, REVOKED, STARTED


def _marking(bench: Bench) -> ScriptedHost:
    host = bench.worker()
    if not host.hello.words:
        raise Skip("Hello.words is false: no call waits inside of it")
    return host


@check("words", "it marks a call in its word: STARTED, then DONE", "words")
def marks(bench: Bench) -> None:
    host, started = _marking(bench), bench.file()
    with plain_words():
        host.process.page.set(5, 800_001, QUEUED)
        call = host.call("wait", call={"call_id": 800_001, "word": 6}, started=str(started))
        expect_started(host, started)
        state = host.process.page.state(5)
        expect(NAMES[STARTED], NAMES.get(state, state), "the word of a call that runs")
        host.cancel(call)
        host.outcome(call)
        until(lambda: host.process.page.state(5) == DONE, host.bound)
        state = host.process.page.state(5)
        expect(NAMES[DONE], NAMES.get(state, state), "the word of a call that is over")


@check("revoked", "a revoked call never runs and is not answered", "words")
def revoked(bench: Bench) -> None:
    host, never = _marking(bench), bench.file()
    with plain_words():
        host.process.page.set(6, 800_002, REVOKED)
        host.call("wait", call={"call_id": 800_002, "word": 7}, started=str(never))
        host.process.page.set(7, 800_003, QUEUED)
        # Its word names another call: that is no claim to this one.
        host.call("wait", call={"call_id": 800_004, "word": 8}, started=str(never))
        expect_well(host)
        expect_quiet(host, "as the answer to a revoked call")
        if never.exists():
            raise Violation("a revoked call never runs", "it ran")
        state = host.process.page.state(6)
        expect(NAMES[REVOKED], NAMES.get(state, state), "the word of a revoked call")


@check("condemned", "after a condemned call it begins none", "words")
def condemned(bench: Bench) -> None:
    _marking(bench)
    started, never = bench.file(), bench.file()
    with bench.fresh() as host, plain_words():
        ready(host)
        page = host.process.page
        page.set(8, 800_005, QUEUED)
        page.set(9, 800_006, QUEUED)
        call = host.call("wait", call={"call_id": 800_005, "word": 9}, started=str(started))
        host.call("wait", call={"call_id": 800_006, "word": 10}, started=str(never))
        expect_started(host, started)
        # As a host does before it kills the worker for this call, which ends all the same.
        page.set(8, 800_005, CONDEMNED)
        host.cancel(call)
        host.outcome(call)
        expect_quiet(host, "after a condemned call's Result")
        if never.exists():
            raise Violation("no call begun after a condemned one", "it ran")
        state = page.state(8)
        expect(NAMES[CONDEMNED], NAMES.get(state, state), "the word of a condemned call")
        state = page.state(9)
        expect(NAMES[QUEUED], NAMES.get(state, state), "the word of the call behind it")
