"""What this end says and reads: messages made at run time, the start message, chunks."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from snakepit_bridge._grpcio.process.start import read_start

pytest.importorskip("grpc", reason="the grpcio end needs grpcio, msgpack and protobuf")
pytest.importorskip("msgpack", reason="the grpcio end needs grpcio, msgpack and protobuf")

from snakepit_bridge._grpcio import failure, messages
from snakepit_bridge._grpcio.inbox import Inbox
from snakepit_bridge._grpcio.outbox import Outbox
from snakepit_bridge._grpcio.running import Running

Start = messages.GetMessageClass(messages._pool.FindMessageTypeByName("snakepit.v1.Start"))
StartCall = messages.GetMessageClass(messages._pool.FindMessageTypeByName("snakepit.v1.StartCall"))


def test_a_start_message_is_read_without_protobuf() -> None:
    said = Start(
        token=bytes(range(32)),
        socket_path="/run/ü/s",
        sys_path=["/a", "", "/b" * 300],
        bridge_path="/sdk",
        max_message=1 << 40,
    )
    read = read_start(said.SerializeToString())
    assert read.token == bytes(range(32))
    assert (read.socket_path, read.bridge_path) == ("/run/ü/s", "/sdk")
    assert read.sys_path == ["/a", "", "/b" * 300]
    assert read.max_message == 1 << 40
    # A newer host's: fields of every wire type that this version does not know.
    newer = b"\x78\x05" + b"\x81\x01" + b"x" * 8 + b"\x85\x01" + b"x" * 4 + b"\x8a\x01\x01x"
    assert read_start(newer + said.SerializeToString()).socket_path == "/run/ü/s"


@pytest.mark.parametrize("raw", [b"\x0a", b"\x0a\x05ab", b"\x0b", b"\xff" * 12, b"\x28\x80"])
def test_a_malformed_start_message_is_named(raw: bytes) -> None:
    with pytest.raises(ValueError, match="malformed start message"):
        read_start(raw)


def test_garbage_is_either_read_or_refused() -> None:
    dice = random.Random(5)
    for _ in range(2000):
        raw = dice.randbytes(dice.randrange(40))
        try:
            read_start(raw)
        except ValueError:
            continue


def test_the_messages_are_apart_from_an_adapters_own() -> None:
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("snakepit.v1.Hello")


@pytest.mark.parametrize(("count", "size"), [(1000, 1), (10, 20_000), (3, 100_000), (257, 0)])
def test_items_that_wait_go_together_within_the_bounds(count: int, size: int) -> None:
    outbox = Outbox()
    items = [number.to_bytes(4, "big") + bytes(size) for number in range(count)]
    for item in items:
        outbox.add(7, item)
    outbox.push(ready=messages.Ready())
    outbox.finish()
    *chunks, last = outbox.frames()
    assert last.WhichOneof("frame") == "ready", "what is said later comes later"
    assert [item for frame in chunks for item in frame.chunks.items] == items
    for frame in chunks:
        assert frame.chunks.call_id == 7
        assert 1 <= len(frame.chunks.items) <= 256
        total = sum(map(len, frame.chunks.items))
        assert total <= 60 * 1024 or len(frame.chunks.items) == 1
    fullest = min(256, max(1, 60 * 1024 // (4 + size)))
    assert len(chunks) == -(-count // fullest)


def test_a_flush_waits_for_the_sender_but_not_for_ever() -> None:
    outbox = Outbox()
    outbox.flush()
    outbox.add(1, b"alone")
    outbox.flush()  # nobody sends; it comes back
    sent = iter(outbox.frames())
    reader = threading.Thread(target=lambda: next(sent))
    reader.start()
    outbox.flush()
    reader.join(30)
    assert not reader.is_alive()


def test_a_cancel_is_seen_once_whoever_is_first() -> None:
    running, inbox = Running(), Inbox(iter(()), Outbox(), 1024)
    running.cancel(3)
    assert running.begin(StartCall(call_id=3), inbox).cancelled
    call = running.begin(StartCall(call_id=4), inbox)
    called: list[int] = []
    call.on_cancel(lambda: called.append(1))
    assert running.cancel(4) is call
    call.call_back()
    call.call_back()
    call.on_cancel(lambda: called.append(2))
    call.on_cancel(None)
    assert called == [1, 2]
    running.end(call)
    assert running.cancel(4) is None


def test_grants_only_grow() -> None:
    running, inbox = Running(), Inbox(iter(()), Outbox(), 1024)
    call = running.begin(StartCall(call_id=1), inbox)
    running.grant(1, 5, 100)
    running.grant(1, 3, 200)
    running.grant(2, 9, 900)
    assert call.taken == (5, 200)


@pytest.mark.parametrize("text", ["x" * 100_000, "ü" * 50_000, "\udc80" * 20_000, "short \udc80"])
def test_texts_of_a_failure_are_cut_and_can_travel(text: str) -> None:
    told = failure.told(messages.EXCEPTION, (text, text, text))
    assert len(told.SerializeToString()) < 64 * 1024
    assert len(told.message.encode()) <= 14 * 1024
    assert told.message[:2] == text[:2].replace("\udc80", "?")


def test_the_extra_names_what_the_pip_line_names() -> None:
    from snakepit_bridge._grpcio.packages import REQUIREMENTS, missing

    assert missing("why") == ""
    declared = Path(__file__).parents[2] / "python" / "pyproject.toml"
    if not declared.exists():
        pytest.skip("the tests are not in the repository")
    listed = ", ".join(f'"{requirement}"' for requirement in REQUIREMENTS)
    assert f"grpc = [{listed}]" in declared.read_text()
