"""The control socket, for workers whose Hello says that they read it."""

from __future__ import annotations

from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    expect_failure,
    expect_started,
    expect_well,
    plain_words,
)
from snakepit.conformance.host import ScriptedHost


def _reading(bench: Bench) -> ScriptedHost:
    host = bench.worker()
    if not host.hello.control:
        raise Skip("Hello.control is false: cancels and grants come as frames")
    return host


@check("probe", "it answers probes, idle and while a tool waits", "control-socket")
def probe(bench: Bench) -> None:
    host, started = _reading(bench), bench.file()
    with plain_words():
        host.probe(1)
        expect(1, host.probed(), "the nonce of an answer")
        call = host.call("wait", started=str(started))
        expect_started(host, started)
        for nonce in (2, (1 << 64) - 1):
            host.probe(nonce)
            expect(nonce, host.probed(), "the nonce of an answer while a tool runs")
        host.cancel(call)
        host.outcome(call)


@check("cancel-early", "a cancel that overtakes its call is remembered", "control-socket")
def early(bench: Bench) -> None:
    host, never = _reading(bench), bench.file()
    with plain_words():
        host.cancel(700_001)
        host.probe(3)
        expect(3, host.probed(), "the nonce of an answer")
        call = host.call("wait", call={"call_id": 700_001}, started=str(never))
        expect_failure(host.failure(call), "CANCELLED", after="for a call whose cancel came first")
        if never.exists():
            raise Violation("a call whose cancel came first never runs", "it ran")


@check("control-unknown", "it ignores control messages that it does not know", "control-socket")
def unknown(bench: Bench) -> None:
    host = _reading(bench)
    with plain_words():
        host.control.send(b"?new")
        host.control.send(b"C123")  # a cancel of the wrong length
        expect_well(host)
        host.probe(4)
        expect(4, host.probed(), "the nonce of an answer")
