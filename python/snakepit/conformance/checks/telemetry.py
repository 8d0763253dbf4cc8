"""What a worker's tools measure, for workers whose Hello says that they can be asked for it."""

from __future__ import annotations

from typing import Any

from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    plain_words,
    ready,
)
from snakepit.conformance.host import OutOfTurn, ScriptedHost, shown
from snakepit.conformance.protocol import messages

MOST = 1024
"""Events and spans of a frame."""
LARGEST = 64 << 10
"""Bytes of a frame."""
NAME = 256
FLOOD = 50_000


def telling(bench: Bench) -> ScriptedHost:
    host = bench.worker()
    if not host.hello.telemetry:
        raise Skip("Hello.telemetry is false: it tells nothing")
    return host


def _measuring(bench: Bench) -> ScriptedHost:
    host = telling(bench)
    if not bench.has("measure"):
        raise Skip("it has no tool `measure`: nothing of it is to be told")
    return host


def wanted(**fields: Any) -> dict[str, Any]:
    return {"telemetry": messages().TelemetryControl(**{"enabled": True, "sampling": 1, **fields})}


@check("telemetry-unasked", "it tells nothing where Initialize has no telemetry", "telemetry")
def unasked(bench: Bench) -> None:
    host = _measuring(bench)
    with plain_words():
        host.outcome(host.call("measure", name="conformance.a", count=3))


@check("telemetry", "what a call measured comes before its Result", "telemetry")
def told(bench: Bench) -> None:
    _measuring(bench)
    with bench.fresh(initialize=wanted()) as host, plain_words():
        ready(host)
        events = _events(host, "conformance.a", 3)
        expect(["conformance.a"] * 3, [event.name for event in events], "names of the events")
        numbers = [[(it.key, it.count) for it in event.measurements] for event in events]
        expect([[("number", n)] for n in range(3)], numbers, "measurements of the events")


@check("telemetry-control", "it tells what is wanted, from then on", "telemetry")
def control(bench: Bench) -> None:
    _measuring(bench)
    with bench.fresh(initialize=wanted(deny=["conformance.b*"])) as host, plain_words():
        ready(host)
        expect([], _events(host, "conformance.bb", 3), "events whose name is denied")
        expect(3, len(_events(host, "conformance.a", 3)), "number of events that are not")
        host.send(telemetry_control=messages().TelemetryControl(enabled=True, sampling=0))
        expect([], _events(host, "conformance.a", 3), "events of which no part is wanted")
        host.send(telemetry_control=messages().TelemetryControl(sampling=1))
        expect([], _events(host, "conformance.a", 3), "events while nobody listens")
        allowed = messages().TelemetryControl(enabled=True, sampling=1, allow=["*.bb"])
        host.send(telemetry_control=allowed)
        expect([], _events(host, "conformance.a", 3), "events whose name is not allowed")
        expect(3, len(_events(host, "conformance.bb", 3)), "number of events that are allowed")


@check(
    "telemetry-flood", "its frames keep their limit, and what is left out is counted", "telemetry"
)
def flood(bench: Bench) -> None:
    _measuring(bench)
    with bench.fresh(initialize=wanted()) as host, plain_words():
        ready(host)
        frames = _frames(host, "conformance.flood", FLOOD)
        number = sum(len(frame.events) for frame in frames)
        dropped = [frame.dropped for frame in frames]
        expect(sorted(dropped), dropped, "numbers of what was dropped, which only grow")
        # What came at last may have been dropped after the last frame.
        if not frames or number + dropped[-1] > FLOOD or number == 0:
            raise Violation(
                f"{FLOOD} events, those that were dropped counted",
                f"{number} events, and {dropped[-1:]} dropped",
            )


def _events(host: ScriptedHost, name: str, count: int) -> list[Any]:
    return [event for frame in _frames(host, name, count) for event in frame.events]


def _frames(host: ScriptedHost, name: str, count: int) -> list[Any]:
    return told_before(host, host.call("measure", name=name, count=count))


def told_before(host: ScriptedHost, call: int) -> list[Any]:
    """The frames of Telemetry before the Result of a call."""
    frames: list[Any] = []
    while type(frame := host.frame()).__name__ == "Telemetry":
        frames.append(_checked(frame, call))
    if type(frame).__name__ != "Result" or frame.call_id != call:
        raise OutOfTurn(f"Telemetry or the Result of call {call}", frame)
    return frames


def _checked(frame: Any, call: int) -> Any:
    number = len(frame.events) + len(frame.spans)
    if number > MOST or frame.ByteSize() > LARGEST:
        raise Violation(
            f"at most {MOST} events and spans in a frame, in {LARGEST} bytes",
            f"{number} of them in {frame.ByteSize()} bytes",
        )
    for event in frame.events:
        if not 0 < len(event.name) <= NAME or any(
            char.isspace() or ord(char) < ord(" ") for char in event.name
        ):
            raise Violation(f"a name of 1 to {NAME} characters that print", shown(event))
        if event.call_id not in (0, call):
            raise Violation(f"an event of call {call}", shown(event))
        if any(it.WhichOneof("number") is None for it in event.measurements) or any(
            it.WhichOneof("value") is None for it in event.metadata
        ):
            raise Violation("a number of each measurement, a value of all metadata", shown(event))
    return frame
