"""Buffers in memory that both ends map, for workers whose Hello says that they do so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snakepit import _core
from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    expect_failure,
    expect_quiet,
    expect_well,
    plain_words,
    ready,
)
from snakepit.conformance.host import ScriptedHost, shown
from snakepit.conformance.protocol import messages
from snakepit.conformance.segment import Given, Taken, reference, shared_memory

SIZE = 200_000
_ARGUMENT = b"\x81\xa5value"
_NEVER = 1 << 40
"""A threshold that no value reaches: answers stay in their messages."""


@contextmanager
def _mapping(bench: Bench, threshold: int) -> Iterator[ScriptedHost]:
    if not bench.worker().hello.arenas:
        raise Skip("Hello.arenas is false: large values travel in frames")
    initialize = shared_memory(threshold)
    with bench.fresh(initialize=initialize) as host, plain_words():
        ready(host)
        yield host


def _buffer(offset: int, length: int, word: int, segment: int = 1) -> Any:
    return messages().Buffer(segment=segment, offset=offset, length=length, word=word)


def _echo(host: ScriptedHost, *buffers: Any) -> int:
    """Calls ``echo`` with the byte string in the first of these buffers."""
    return host.call("echo", raw=_ARGUMENT + reference(0), call={"buffers": [*buffers]})


def _value(result: Any, taken: Taken | None = None) -> Any:
    if result.WhichOneof("outcome") != "value":
        raise Violation("a Result with value", shown(result))
    taken = taken or Taken(None)  # type: ignore[arg-type]  # which has no segment to read in
    return _core.decode(result.value, "result", [taken.read(it) for it in result.buffers])


@check("segment", "it reads buffers in segments of the host, and counts them back", "segments")
def reads(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        given, content = Given(host), os.urandom(SIZE)
        expect(True, given.give(1, content), "whether it takes a segment")
        for turn, offset in enumerate((0, 4096, SIZE - 100), start=1):
            part = content[offset : offset + 100_000]
            call = _echo(host, _buffer(offset, len(part), 5))
            expect(part, _value(host.outcome(call)), "the value in a segment")
            if not given.counted(5, turn):
                expect(turn, given.word(5), "times that a buffer was counted back")


@check("segment-inline", "it reads buffers that come in the frame", "buffers")
def reads_inline(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        content = os.urandom(5000)
        call = _echo(host, messages().Buffer(inline=content))
        expect(content, _value(host.outcome(call)), "the value beside a message")


@check("segment-refused", "it refuses what may change its length, or is not as told", "segments")
def refuses(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        given, content = Given(host), os.urandom(SIZE)
        what = "whether it takes a segment "
        expect(False, given.give(1, content, seals=0), what + "that is not sealed")
        expect(False, given.give(2, content, length=SIZE * 2), what + "of another length")
        expect(False, given.give(3, content, lost=True), what + "without its descriptor")
        expect(True, given.give(4, content), what + "that is in order")
        expect(False, given.give(4, bytes(SIZE)), what + "under a number that was used")
        call = _echo(host, _buffer(0, SIZE, 0, segment=4))
        expect(content, _value(host.outcome(call)), "the value in the first segment of a number")


@check("unread", "it runs a call whose segment it refused once the bytes have come", "segments")
def unread(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        given, content = Given(host), os.urandom(SIZE)
        given.give(1, content, seals=0)
        call = _echo(host, _buffer(0, SIZE, 7))
        _expect_unread(host, call)
        expect_well(host)
        half = SIZE // 2
        for part in (content[:half], content[half:]):
            expect_quiet(host, "before all bytes have come")
            host.send(buffer_bytes=messages().BufferBytes(call_id=call, index=0, bytes=part))
        expect(content, _value(host.outcome(call)), "the value that came in parts")
        expect(0, given.word(7), "times that a refused buffer was counted back")


@check("unread-gone", "a call whose bytes will not come is cancelled, and never runs", "segments")
def gone(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        given, never = Given(host), bench.file()
        path = os.fsencode(never)
        given.give(1, path, seals=0)
        raw = b"\x81\xa7started" + reference(0)
        call = host.call("wait", raw=raw, call={"buffers": [_buffer(0, len(path), 0)]})
        _expect_unread(host, call)
        host.send(buffer_bytes=messages().BufferBytes(call_id=call, gone=True))
        expect_failure(host.failure(call), "CANCELLED", after="for a call whose bytes are gone")
        if never.exists():
            raise Violation("a call whose bytes are gone never runs", "it ran")
        expect_well(host)


@check("segment-outside", "it reads nothing outside of a segment", "segments")
def outside(bench: Bench) -> None:
    with _mapping(bench, _NEVER) as host:
        given = Given(host)
        given.give(1, os.urandom(SIZE))
        for offset, length, word in [
            (0, SIZE + 1, 0),
            (SIZE, 1, 0),
            ((1 << 64) - 4096, SIZE, 0),
            (0, 0, 0),
            (0, SIZE, 4096),
        ]:
            call = _echo(host, _buffer(offset, length, word))
            after = f"for {length} bytes at {offset} of {SIZE}, counted by word {word}"
            expect_failure(host.failure(call), "DECODE", after=after)
        expect_well(host)


@check(
    "segment-own", "what it answers in segments of its own stays until it is counted", "segments"
)
def answers(bench: Bench) -> None:
    with _mapping(bench, 4096) as host:
        taken, said = Taken(host), []
        for turn in range(3):
            content = os.urandom(SIZE)
            call = host.call("echo", value=content)
            if turn == 0:
                taken.answer(take=True)
            result = host.outcome(call)
            expect(content, _value(result, taken), "the value in a segment of the worker's")
            said.append((content, result.buffers))
        for content, buffers in said:
            for told in buffers:
                expect(content, taken.read(told), "what was answered before, not counted back")
                if told.segment:
                    taken.give_back(told)


@check("segment-own-refused", "what the host does not take it sends in the frame", "segments")
def answers_inline(bench: Bench) -> None:
    with _mapping(bench, 4096) as host:
        taken, content = Taken(host), os.urandom(SIZE)
        call = host.call("echo", value=content)
        taken.answer(take=False)
        expect(content, _value(host.outcome(call), taken), "a value whose segment was refused")


def _expect_unread(host: ScriptedHost, call: int) -> None:
    frame = host.frame()
    if type(frame).__name__ != "Unread" or frame.call_id != call:
        raise Violation(f"Unread of call {call}, whose segment it refused", shown(frame))
