"""Traces, as somebody sees them who gets them over OTLP: a receiver made of its protobufs."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import snakepit
from snakepit import telemetry
from snakepit.errors import ConfigError, EncodeError, RemoteError, ToolNotFound, WorkerDied

TRACED = "pool.tracing_adapters:Traced"
Make = Callable[..., Any]
CLIENT, ERROR = 3, 2


class Span(NamedTuple):
    name: str
    id: str
    parent: str
    start: int
    end: int
    kind: int
    error: str | None
    facts: dict[str, Any]


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans over OTLP/gRPC, by their trace."""

    def __init__(self) -> None:
        self.traces: dict[str, list[Span]] = {}
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802, its name in the protocol
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.traces.setdefault(span.trace_id.hex(), []).append(_span(span))
        return trace_service_pb2.ExportTraceServiceResponse()

    def close(self) -> None:
        self.provider.shutdown()
        self._server.stop(None).wait()

    def spans(self, trace_id: str) -> Spans:
        """All of a trace."""
        assert telemetry.flush(60)
        assert self.provider.force_flush()
        return Spans(self.traces.get(trace_id, []))


class Spans(list[Span]):
    """Of one trace."""

    def paths(self) -> list[str]:
        """Each with all that is around it; every one once."""
        known = {span.id: span for span in self}
        assert len(known) == len(self), "a span was exported twice"

        def path(span: Span) -> str:
            return f"{path(known[span.parent])}/{span.name}" if span.parent else span.name

        return sorted(map(path, self))

    def of(self, name: str) -> Span:
        """The only one of that name."""
        (span,) = (span for span in self if span.name == name)
        return span


def _span(span: Any) -> Span:
    facts = {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }
    error = span.status.message if span.status.code == ERROR else None
    ids, times = (
        (span.span_id.hex(), span.parent_span_id.hex()),
        (
            span.start_time_unix_nano,
            span.end_time_unix_nano,
        ),
    )
    return Span(span.name, *ids, *times, span.kind, error, facts)


# A process has one provider for good, and may run tests of other modules between those of this one.
@functools.cache
def _only_receiver(config: pytest.Config) -> Receiver:
    receiver = Receiver()
    trace.set_tracer_provider(receiver.provider)
    assert trace.get_tracer_provider() is receiver.provider, "somebody was before us"
    config.add_cleanup(receiver.close)
    return receiver


@pytest.fixture
def received(pytestconfig: pytest.Config) -> Receiver:
    return _only_receiver(pytestconfig)


@pytest.fixture
def make(make_pool: Make, received: Receiver) -> Make:
    """Makes pools whose calls are traced."""

    def make(**options: Any) -> Any:
        options = {"name": "traced", "opentelemetry": True, **options}
        return make_pool(TRACED, **options)

    return make


class Caller:
    """Somebody's span, inside of which calls are made."""

    def __init__(self) -> None:
        self._span = trace.get_tracer("tests").start_as_current_span("caller")

    def __enter__(self) -> str:
        return f"{self._span.__enter__().get_span_context().trace_id:032x}"

    def __exit__(self, *error: object) -> None:
        self._span.__exit__(*error)


def below(around: str, tool: str, *inside: str, workers: bool = True) -> list[str]:
    """The paths of a call's spans."""
    call = f"{around}/call {tool}"
    waits = [f"{call}/queue", f"{call}/dispatch"] if workers else []
    return [
        call,
        *waits,
        f"{call}/execute {tool}",
        *(f"{call}/execute {tool}/{it}" for it in inside),
    ]


def lookup_by(pool: Any) -> Callable[..., Any]:
    def lookup(depth: int) -> Any:
        return pool.execute("inner")

    return lookup


NESTED = "load/host_tool lookup"


def test_one_trace_has_the_call_its_wait_its_execution_and_what_is_inside_of_it(
    make: Make, received: Receiver, own_line: str, caplog: Any
) -> None:
    with caplog.at_level(logging.WARNING, "snakepit.worker"):
        pool = make(line=own_line, worker_output="log")
        pool.register_tool("lookup", lookup_by(pool))
        with Caller() as trace_id:
            seen = pool.execute("work")
    spans = received.spans(trace_id)
    work = below("caller", "work", "load", "load/parse", NESTED)
    nested = below(f"caller/call work/execute work/{NESTED}", "inner")
    assert spans.paths() == sorted(["caller", *work, *nested])
    call, execution, load = spans.of("call work"), spans.of("execute work"), spans.of("load")
    assert call.kind == CLIENT
    facts = {"pool": "traced", "tool": "work", "outcome": "ok"}
    assert call.facts.items() >= {f"snakepit.{key}": it for key, it in facts.items()}.items()
    assert execution.facts["snakepit.worker"].startswith("traced/")
    assert load.facts.items() >= {"rows": 3, "bytes": 4.5}.items()
    assert call.start <= execution.start <= load.start <= load.end <= execution.end <= call.end
    own = {it.name: it for it in spans if it.parent == call.id}
    queue, dispatch = own["queue"], own["dispatch"]
    assert call.start <= queue.start <= queue.end == dispatch.start
    assert dispatch.end == execution.start
    # What the adapter exports by itself is inside of the call, whose id is everybody's.
    assert seen == [trace_id, spans.of("call inner").id, True, ""]
    (record,) = (it for it in caplog.records if "at work" in it.getMessage())
    assert record.snakepit_trace_id == trace_id


def test_an_inline_pool_has_the_same_spans_but_no_wait(make: Make, received: Receiver) -> None:
    pool = make(inline=True)
    pool.register_tool("lookup", lookup_by(pool))
    with Caller() as trace_id:
        seen = pool.execute("work")
        with pytest.raises(RemoteError):
            pool.execute("fail")
        with pytest.raises(EncodeError):
            pool.execute("inner", {"a": object()})
    spans = received.spans(trace_id)
    work = below("caller", "work", "load", "load/parse", NESTED, workers=False)
    nested = below(f"caller/call work/execute work/{NESTED}", "inner", workers=False)
    failed = below("caller", "fail", "risky", workers=False)
    assert spans.paths() == sorted(["caller", *work, *nested, *failed, "caller/call inner"])
    assert seen[:3] == [trace_id, spans.of("execute inner").id, True]
    assert "as asked" in str(spans.of("execute fail").error)


def test_what_goes_wrong_is_told_of_the_span_in_which_it_did(
    make: Make, received: Receiver, own_line: str, tmp_path: Path
) -> None:
    pool = make(size=1, line=own_line)
    with Caller() as failed, pytest.raises(RemoteError):
        pool.execute("fail")
    spans = received.spans(failed)
    assert spans.paths() == sorted(["caller", *below("caller", "fail", "risky")])
    assert spans.of("risky").error == "ValueError: as asked"
    assert spans.of("execute fail").error == "ValueError: as asked"
    assert spans.of("call fail").facts["snakepit.outcome"] == "remote"
    with Caller() as refused:
        with pytest.raises(EncodeError):
            pool.execute("inner", {"a": object()})
        with pytest.raises(ToolNotFound):
            pool.execute("iner")
    spans = received.spans(refused)
    assert "no such tool" in str(spans.of("call iner").error)
    assert "object" in str(spans.of("call inner").error)
    # Its worker could tell that it began, or could not.
    for number, after in enumerate([0.3, 0.0]):
        with Caller() as died, pytest.raises(WorkerDied):
            pool.execute("die", {"marks": str(tmp_path / f"died{number}"), "after": after})
        spans = received.spans(died)
        assert "caller/call die/execute die" in spans.paths()
        execution, call = spans.of("execute die"), spans.of("call die")
        assert "SIGKILL" in str(call.error)
        assert execution.error == call.error
        assert execution.facts["snakepit.unfinished"] is True
        assert execution.end <= call.end
    with Caller() as again:
        marks = str(tmp_path / "again")
        assert pool.execute("die", {"marks": marks, "after": 0.3}, idempotent=True) == "alive"
    spans = received.spans(again)
    names = [f"caller/call die{it}" for it in ("", *["/dispatch", "/execute die", "/queue"] * 2)]
    assert spans.paths() == sorted(["caller", *names])
    assert spans.of("call die").facts["snakepit.retries"] == 1
    first, second = sorted(
        (it for it in spans if it.name == "execute die"), key=lambda span: span.start
    )
    assert (first.error, second.error) == ("its worker died", None)


def test_a_trace_that_nobody_records_is_passed_on_and_costs_no_spans(
    make: Make, make_pool: Make, received: Receiver
) -> None:
    around = trace.SpanContext(
        0xABC, 0xDEF, True, trace.TraceFlags(0), trace.TraceState([("vendor", "1")])
    )
    pool, untraced = make(size=1), make_pool(TRACED, size=1)
    unsampled = trace.set_span_in_context(trace.NonRecordingSpan(around))
    token = attach(unsampled)
    try:
        trace_id, span_id, flags, state = pool.execute("inner")
        assert list(pool.execute_stream("count", {"upto": 2})) == [0, 1]
    finally:
        detach(token)
    assert (trace_id, flags, state) == (f"{0xABC:032x}", False, "vendor=1")
    assert int(span_id, 16), "of a span of its own, which nobody records"
    with Caller() as caller:
        assert untraced.execute("inner")[0] == "0" * 32
    assert received.spans(trace_id) == []
    assert received.spans(caller).paths() == ["caller"]


@pytest.mark.parametrize("profile", ["thread", "async"])
def test_calls_that_overlap_have_traces_of_their_own(
    nothing_left: None, received: Receiver, own_line: str, profile: Any
) -> None:
    traces = asyncio.run(_overlapping(own_line, profile))
    expected = [
        "caller",
        *below("caller", "awork", "load", NESTED),
        *below(f"caller/call awork/execute awork/{NESTED}", "inner"),
        *below("caller", "acount"),
    ]
    paths = [received.spans(trace_id).paths() for trace_id in traces]
    assert paths == [sorted(expected)] * len(traces)


async def _overlapping(own_line: str, profile: Any) -> list[str]:
    async with snakepit.AsyncPool(
        TRACED, size=1, name="traced", profile=profile, line=own_line, opentelemetry=True
    ) as pool:

        async def lookup(depth: int) -> Any:
            return await pool.execute("inner")

        pool.register_tool("lookup", lookup)

        async def call() -> str:
            with Caller() as trace_id:
                seen = await pool.execute("awork")
                assert seen[0] == trace_id
                items = [item async for item in pool.execute_stream("acount", {"upto": 2})]
                assert items == [0, 1]
            return trace_id

        return await asyncio.gather(*(call() for _ in range(4)))


@pytest.mark.parametrize("inline", [False, True], ids=["workers", "inline"])
def test_a_stream_is_one_span_however_it_ends(make: Make, received: Receiver, inline: bool) -> None:
    pool = make(size=1, inline=inline)
    with Caller() as whole:
        assert list(pool.execute_stream("count", {"upto": 2})) == [0, 1]
    items = ["item 0", "item 1"]
    paths = below("caller", "count", *items, workers=not inline)
    assert received.spans(whole).paths() == sorted(["caller", *paths])
    with Caller() as dropped, pool.execute_stream("count", {"upto": 10**9}) as stream:
        assert next(stream) == 0
    spans = received.spans(dropped)
    assert spans.of("call count").facts["snakepit.outcome"] == "cancelled"
    assert spans.of("execute count").error is not None


PROGRAM = """
import os

import snakepit
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

PARENT = os.getpid()


class Printer(SpanExporter):
    def export(self, spans):
        for span in spans:
            who = "parent" if os.getpid() == PARENT else "child"
            print(who, span.name, span.attributes.get("snakepit.pool"), flush=True)
        return SpanExportResult.SUCCESS


if __name__ == "__main__":
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Printer()))
    trace.set_tracer_provider(provider)
    options = {"size": 1, "opentelemetry": {"enabled": True}}
    pool = snakepit.Pool("pool.adapters:Basic", name="of-parent", **options)
    pool.execute("ping")
    if (child := os.fork()) == 0:
        with snakepit.Pool("pool.adapters:Basic", name="of-child", **options) as own:
            own.execute("ping")
            try:
                pool.execute("ping")
            except snakepit.ForkedPool:
                pass
        provider.force_flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_program_that_ends_and_its_fork_tell_each_of_its_own_calls(host: Any) -> None:
    status, out, err = host.run_script(PROGRAM)
    assert status == 0, err
    names = ["call ping of-{}", "dispatch None", "execute ping None", "queue None"]
    told = [f"{who} {name.format(who)}" for who in ("child", "parent") for name in names]
    assert sorted(out.splitlines()) == told


def test_without_the_api_the_error_says_what_to_install(monkeypatch: Any) -> None:
    for name in [name for name in sys.modules if name.startswith("snakepit._tracing._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pip install 'snakepit-pool\[otel\]'") as caught:
        snakepit.Pool(TRACED, size=1, opentelemetry={"enabled": True})
    assert caught.value.field == "opentelemetry"
    with pytest.raises(ConfigError, match="True, False"):
        snakepit.Pool(TRACED, size=1, opentelemetry={"exporter": "otlp"})
