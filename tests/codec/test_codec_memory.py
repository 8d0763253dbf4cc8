"""What stays behind after a value has gone: as good as nothing."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest
from codec_values import Codec


def test_keys_of_others_are_not_kept_for_ever(codec: Codec) -> None:
    """Interning them would: some interpreters never free an interned string."""

    def growth(first: int) -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for start in range(first, first + 100_000, 100):
            codec.decode(codec.encode({f"key number {n}": None for n in range(start, start + 100)}))
        gc.collect()
        return sys.getallocatedblocks() - before

    growth(0)  # fills the cache
    assert growth(1_000_000) < 1_000


def test_a_key_met_again_is_the_same_object(codec: Codec) -> None:
    message = codec.encode([{"customer": 1}, {"customer": 2}])
    first, second = (next(iter(item)) for item in codec.decode(message))
    assert first is second


def test_keys_that_share_a_slot_are_told_apart(codec: Codec) -> None:
    keys = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in range(100)]
    keys += ["x" * n for n in range(60)] + ["é" * n for n in range(1, 30)]
    keys += ["a\0", "a\0\0", "a\0\0\0", "a\0\0\0\0", "\0", "\0\0", "\0\0\0", "abcd", "abcdabcd"]
    message = codec.encode({key: key for key in keys})
    for _ in range(3):
        assert all(key == value for key, value in codec.decode(message).items())


@pytest.mark.parametrize("text", ["é" * 20_000, "日" * 20_000, "😀" * 20_000])
def test_a_long_text_does_not_keep_its_utf8(codec: Codec, text: str) -> None:
    text = text + "!"  # not a constant of this module
    before = sys.getsizeof(text)
    assert codec.decode(codec.encode([text, {text: 1}]))[0] == text
    assert sys.getsizeof(text) == before


@pytest.mark.parametrize("announced", [256, 60_000])
def test_lengths_that_lie_inside_each_other_allocate_little(codec: Codec, announced: int) -> None:
    message = (b"\xdc" + announced.to_bytes(2, "big")) * 80 + bytes(announced)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="inside a value"):
            codec.decode(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000, "80 lists of 60 000 would be 38 MB"


def test_a_length_that_lies_allocates_nothing(codec: Codec) -> None:
    tracemalloc.start()
    try:
        for marker in (b"\xc6", b"\xdb", b"\xdd", b"\xdf"):
            with pytest.raises(ValueError, match="inside a value"):
                codec.decode(marker + b"\xff\xff\xff\xff" + bytes(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
