"""A worker that breaks a rule fails the check of that rule, in words that name it."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="the kit serves the line through grpcio")

from snakepit.conformance import Finding, run

BROKEN = [sys.executable, str(Path(__file__).with_name("broken_worker.py"))]
SILENT = 4.0
"""Seconds to wait for a worker whose fault is to say nothing."""


def test_the_worker_without_a_fault_keeps_every_rule() -> None:
    report = run(BROKEN, timeout=20)
    assert report.passed, report
    skipped = {finding.name for finding in report.findings if finding.outcome == "skipped"}
    segments = {name for name in skipped if name.startswith(("segment", "unread"))}
    assert len(segments) == 8
    control = {"probe", "cancel-early", "control-unknown", "words", "revoked", "condemned"}
    assert skipped == control | segments


def test_segments_without_a_fault_keep_every_rule() -> None:
    report = run([*BROKEN, "segments"], select=SEGMENTS, timeout=20)
    assert report.passed, report
    assert [finding.outcome for finding in report.findings] == ["passed"] * 8


# Fault, check, words of what was expected, words of what came.
FAULTS = [
    ("hello-last", "hello", "Hello", "Ready { }"),
    ("garbage", "hello", "Hello", "which are no frame"),
    ("wrong-token", "hello", "Hello.token", "\\x00"),
    ("wrong-protocol", "hello", "Hello.protocol: 1", "2"),
    ("wrong-pid", "hello", "Hello.pid", "1"),
    ("hello-twice", "hello", "nothing between Hello and Initialize", "Hello {"),
    ("attaches-twice", "hello", "times that Attach was opened: 1", "2"),
    ("ready-twice", "ready", "nothing after Ready", "Ready {"),
    ("unlisted", "ready", "conformance tools that Ready does not list", "'wait'"),
    ("bad-name", "tools", "tools whose names cannot be one", "'two words'"),
    ("bad-schema", "tools", "tools whose parameters are no JSON object", "'more'"),
    ("short-start", "start-long", "a worker that goes on", "exited with code 1"),
    ("no-failure", "start-failed", "StartFailed", "the end of the line"),
    ("trusts-arguments", "start-arguments", "arguments that are no value", "the end of the line"),
    ("answers-twice", "call", "nothing after a call's Result", "Result {"),
    ("stranger", "call", "the Result of call", "Result {"),
    ("empty-outcome", "call", "with value", "Result {"),
    ("blank", "call", "the Result of call", "WorkerFrame { }"),
    ("cuts-ids", "call-id", f"call {(1 << 61) - 1}", f"call_id: {1 << 61}"),
    ("reorders", "calls-in-order", "the Result of call", "Result {"),
    ("dies-on-raise", "failure", "a worker that goes on", "line ended"),
    ("long-failure", "failure-long", "at most 64 KiB", "bytes"),
    ("not-found-kind", "unknown-tool", "TOOL_NOT_FOUND", "EXCEPTION"),
    ("strict-keywords", "keywords", "of kind EXCEPTION for a keyword '10'", "DECODE"),
    ("strict-frames", "unknown-frame", "a worker that goes on", "line ended"),
    ("too-large", "too-large", "a Result of call", "value"),
    ("end-first", "stream", "the items 0 to 4999 in order", "2 items"),
    ("empty-chunks", "stream", "at least one item in each Chunks", "Chunks {"),
    ("stream-value", "stream", "a Result with end", "value"),
    ("flushes-late", "frame-limit", "a frame of at most 69631 bytes", "one of 69672 bytes"),
    ("ignores-items", "window-items", "at most 50 items", "Chunks {"),
    ("ignores-bytes", "window-bytes", "at most 5 items", "Chunks {"),
    ("grants-add", "window-items", "at most 50 items", "Chunks {"),
    ("runs-cancelled", "cancel-queued", "never runs", "it ran"),
    ("answers-cancel", "cancel-unknown", "the Result of call", "there is no such call"),
    ("negative-zero", "value-float", "the value -0.0", "another value, 0.0"),
    ("long-form", "value-int", "0 in its shortest form", "a longer form"),
    ("values-as-text", "value-map", "the value {}", "another value, '{}'"),
    ("one-drains", "drain-at-once", "a worker that goes on", "where the Result of call"),
    ("keeps-session", "sessions-at-once", "session and new: ('s2', True)", "False"),
    ("strict-profile", "profile-unknown", "Ready as the answer to Initialize", "StartFailed"),
    ("tells-unasked", "telemetry-unasked", "the Result of call", "Telemetry {"),
    ("tells-badly", "telemetry", "256 characters that print", "two words"),
    ("tells-late", "telemetry", "names of the events", "[]"),
    ("tells-all", "telemetry-control", "whose name is denied: []", "conformance.bb"),
    ("tells-too-much", "telemetry-flood", "at most 1024 events and spans", "4096 of them"),
    ("span-none", "span", "spans told before the Result of call 1: as it", "0"),
    ("span-once", "span", "spans told before the Result of call 1: as it", "1"),
    ("span-late", "span", "spans told before the Result of call 1: as it", "1"),
    ("span-orphan", "span", "parent_span_id: the span of traceparent: 'b7ad", "''"),
    ("span-parents-id", "span", "a span_id of its own", "b7ad6b7169203331"),
    ("span-same", "span", "different span_ids of two calls: 2", "1"),
    ("span-badly", "span", "256 characters that print", "two\\nlines"),
    ("span-well", "span-fails", "status of a span that failed: 'SPAN_STATUS_ERROR'", "OK"),
    ("span-always", "span-unsampled", "spans of such a call: []", "Span"),
    ("drain-drops", "drain", "a worker that goes on", "where the Result of call"),
    ("drain-code", "drain", "exit code after Drain: 0", "3"),
    ("counts-twice", "segment", "times that a buffer was counted back: 1", "2"),
    ("no-inline", "segment-inline", "a Result with value", "args: no segment"),
    ("takes-unsealed", "segment-refused", "a segment that is not sealed: False", "True"),
    ("refuses-calls", "unread", "Unread of call", "its segment was refused"),
    ("gone-kind", "unread-gone", "CANCELLED for a call whose bytes are gone", "EXCEPTION"),
    ("reads-on", "segment-outside", "a Result of call", "value"),
    ("reuses-regions", "segment-own", "answered before, not counted back", "b'"),
    ("insists", "segment-own-refused", "a segment that the host said it took", "segment: 1"),
]
SEGMENTS = [check for _, check, _, _ in FAULTS if check.startswith(("segment", "unread"))]
SILENT_FAULTS = [
    ("waits-for-headers", "hello", "a frame", "said nothing for 4 s"),
    ("no-ready", "ready", "a frame", "said nothing for 4 s"),
    ("refused-stays", "refused", "when its Attach is refused", "still runs after 4 s"),
    ("holds-results", "result-at-once", "a frame", "said nothing for 4 s"),
    ("no-oversize", "window-one", "a frame", "said nothing for 4 s"),
    ("ignores-cancel", "cancel", "a frame", "said nothing for 4 s"),
    ("one-at-a-time", "at-once", "wait() runs and makes its file", "none after 4 s"),
    ("shared-window", "streams-at-once", "a frame", "said nothing for 4 s"),
    ("stays", "line-ends", "the worker exits when its line ends", "still runs after 4 s"),
]


def found(fault: str, check: str, timeout: float = 20.0, bare: bool = False) -> Finding:
    report = run([*BROKEN, fault], select=[check], timeout=timeout, bare=bare)
    assert not report.passed, report
    (finding,) = report.failed
    return finding


@pytest.mark.parametrize(("fault", "check", "expected", "got"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_fails_its_check(fault: str, check: str, expected: str, got: str) -> None:
    finding = found(fault, check)
    assert expected in finding.expected, finding
    assert got in finding.got, finding


@pytest.mark.parametrize(
    ("fault", "check", "expected", "got"), SILENT_FAULTS, ids=[f[0] for f in SILENT_FAULTS]
)
def test_silence_fails_its_check(fault: str, check: str, expected: str, got: str) -> None:
    finding = found(fault, check, timeout=SILENT)
    assert expected in finding.expected, finding
    assert got in finding.got, finding


def test_a_worker_may_say_that_it_runs_one_call_at_a_time() -> None:
    report = run([*BROKEN, "refuses-several"], select=["call", "at-once", "drain-at-once"])
    assert report.passed, report
    assert [finding.outcome for finding in report.findings] == ["passed", "skipped", "skipped"]
    assert "one call at a time" in report.findings[1].reason


def test_a_child_that_is_left_is_named() -> None:
    report = run([*BROKEN, "child-left"], select=["drain", "nothing-left"], timeout=4.0, bare=True)
    (finding,) = report.failed
    assert finding.name == "nothing-left"
    assert "sleep 600" in finding.got
    left = [int(pid) for pid in re.findall(r"\d+", finding.got) if is_sleeping(int(pid))]
    assert len(left) == 1, finding.got
    os.kill(left[0], signal.SIGKILL)


def is_sleeping(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00600\x00"
    except OSError:
        return False
