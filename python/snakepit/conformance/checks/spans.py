"""The execution of a traced call, for workers whose Hello says that they tell such things."""

from __future__ import annotations

from typing import Any

from snakepit.conformance.check import Bench, Violation, check, expect, plain_words, ready
from snakepit.conformance.checks.telemetry import NAME, telling, told_before, wanted
from snakepit.conformance.host import ScriptedHost, shown
from snakepit.conformance.protocol import messages

TRACE = "0af7651916cd43dd8448eb211c80319c"
AROUND = "b7ad6b7169203331"
"""Of the specification's own example."""


@check("span", "a sampled call is a span of its trace, ended before its Result", "telemetry")
def sampled(bench: Bench) -> None:
    telling(bench)
    with bench.fresh(initialize=wanted()) as host, plain_words():
        ready(host)
        ids = set()
        for _ in range(2):
            ids.add(_execution(host, "echo", value=1).span_id)
        expect(2, len(ids), "different span_ids of two calls")


@check("span-fails", "the span of a call that fails says so", "telemetry")
def failed(bench: Bench) -> None:
    telling(bench)
    with bench.fresh(initialize=wanted()) as host, plain_words():
        ready(host)
        span = _execution(host, "fail", message="conformance")
        names = messages().Span.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number
        expect("SPAN_STATUS_ERROR", names[span.status].name, "status of a span that failed")


@check(
    "span-unsampled", "of a call that is not sampled, or not traced, it tells no span", "telemetry"
)
def unsampled(bench: Bench) -> None:
    telling(bench)
    with bench.fresh(initialize=wanted()) as host, plain_words():
        ready(host)
        for traceparent in ("", f"00-{TRACE}-{AROUND}-00"):
            call = host.call("echo", call={"traceparent": traceparent}, value=1)
            expect([], [shown(span) for span in _spans(host, call)], "spans of such a call")


def _execution(host: ScriptedHost, tool: str, **arguments: Any) -> Any:
    """Calls a tool that tells no spans of its own. The one span of its execution, as it ended."""
    sampled = f"00-{TRACE}-{AROUND}-01"
    call = host.call(tool, call={"traceparent": sampled, "tracestate": "a=1"}, **arguments)
    told = _spans(host, call)
    expect(
        2, len(told), f"spans told before the Result of call {call}: as it began, and as it ended"
    )
    began, ended = told
    expect(began.span_id, ended.span_id, "span_id of the span that began, and of that which ended")
    expect(
        (0, began.start_ns), (began.end_ns, ended.start_ns), "its end_ns, and start_ns, at first"
    )
    expect(True, ended.end_ns >= ended.start_ns > 0, "whether it ended after it began")
    return ended


def _spans(host: ScriptedHost, call: int) -> list[Any]:
    spans = [span for frame in told_before(host, call) for span in frame.spans]
    for span in spans:
        if not 0 < len(span.name) <= NAME or any(ord(char) < ord(" ") for char in span.name):
            raise Violation(f"a name of 1 to {NAME} characters that print", shown(span))
        expect(TRACE, span.trace_id.hex(), "trace_id of the call's traceparent")
        expect(AROUND, span.parent_span_id.hex(), "parent_span_id: the span of traceparent")
        if len(span.span_id) != 8 or not any(span.span_id) or span.span_id.hex() == AROUND:
            raise Violation("a span_id of its own, 8 bytes", span.span_id.hex())
        expect(call, span.call_id, "call_id of the span")
    return spans
