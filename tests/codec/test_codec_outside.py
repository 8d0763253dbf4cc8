"""What is large leaves the message, and nothing else about a value changes."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from codec_values import KEYS, SCALARS, Codec, load, nested, same
from hypothesis import given, settings
from hypothesis import strategies as st


class Seam:
    """One codec with the buffers beside its messages."""

    def __init__(self, name: str) -> None:
        self.codec: Codec = load(name)
        self._is_native = name == "native"

    def encode(self, value: Any, threshold: int, substitute: Any = None) -> tuple[bytes, list[Any]]:
        """The message and what is to be sent beside it."""
        if self._is_native:
            bulks: list[Any] = []
            packed = self.codec.encode(value, "value", substitute, bulks, threshold)
            return packed, bulks
        from snakepit_bridge._values import Outside

        outside = Outside(threshold)
        packed = self.codec.encode(value, "value", substitute, outside)
        return packed, outside.bulks

    def decode(self, packed: bytes, arrived: list[Any]) -> Any:
        return self.codec.decode(packed, "value", arrived)

    def there_and_back(self, value: Any, threshold: int) -> Any:
        packed, bulks = self.encode(value, threshold)
        assert all(bulk.nbytes >= threshold for bulk in bulks)
        return self.decode(packed, [*map(sent, bulks)])


def sent(bulk: Any) -> bytes:
    """The bytes that travel."""
    if isinstance(bulk, memoryview):
        return bytes(bulk)
    room = bytearray(bulk.nbytes)
    bulk.write_into(memoryview(room))
    return bytes(room)


@pytest.fixture(scope="session", params=["native", "pure", "walk"])
def seam(request: pytest.FixtureRequest) -> Seam:
    return Seam(request.param)


@pytest.fixture(scope="session")
def seams() -> list[Seam]:
    return [Seam(name) for name in ("native", "pure", "walk")]


def memory() -> st.SearchStrategy[Any]:
    return st.binary(max_size=40).flatmap(
        lambda data: st.sampled_from(
            [data, bytearray(data), memoryview(data), memoryview(data)[::-2]]
        )
    )


def untitled(dtype: Any) -> bool:
    """Titles of fields do not travel."""
    return all(len(field) == 2 for field in dtype.fields.values())


def arrays() -> st.SearchStrategy[Any]:
    """Of any dtype, shape and strides; nothing without numpy."""
    try:
        import numpy as np
        from hypothesis.extra import numpy as npst
    except ImportError:
        return st.nothing()
    plain = (
        npst.scalar_dtypes()
        | npst.byte_string_dtypes(min_len=1)
        | npst.unicode_string_dtypes(min_len=1)
    )
    dtypes = plain | npst.array_dtypes(plain, max_size=3, allow_subarrays=True).filter(untitled)
    shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    whole = npst.arrays(dtypes, shapes, fill=st.nothing())

    def turned(array: Any) -> st.SearchStrategy[Any]:
        return st.sampled_from(
            [
                array,
                array.T,
                np.asfortranarray(array),
                array[..., None][::-1],
                np.broadcast_to(array, (2, *array.shape)),
                array.reshape(-1)[::2],
                array[(..., *(slice(None, None, -1),) * array.ndim)],
            ]
        )

    return whole.flatmap(turned)


def values() -> st.SearchStrategy[Any]:
    return nested(SCALARS | memory() | arrays(), KEYS)


def plainly(value: Any) -> Any:
    """As it arrives."""
    if isinstance(value, (bytearray, memoryview)):
        return memoryview(bytes(value))
    if isinstance(value, list):
        return [*map(plainly, value)]
    if isinstance(value, dict):
        return {key: plainly(item) for key, item in value.items()}
    return value


@given(value=values(), threshold=st.sampled_from([0, 1, 8, 30, 1000]))
@settings(max_examples=300, deadline=None)
def test_values_arrive_whatever_is_beside_the_message(
    seams: list[Seam], value: Any, threshold: int
) -> None:
    messages = []
    for seam in seams:
        packed, bulks = seam.encode(value, threshold)
        contents = [*map(sent, bulks)]
        messages.append((packed, contents))
        assert same(plainly(value), seam.decode(packed, contents))
    assert messages == messages[:1] * 3, "every codec leaves the same outside"


@pytest.mark.parametrize("threshold", [99, 100, 101])
def test_the_threshold_is_the_size_of_the_bulk(seam: Seam, threshold: int) -> None:
    for value in (b"a" * 100, bytearray(100), [b"b" * 100], {"k": {"l": b"c" * 100}}):
        packed, bulks = seam.encode(value, threshold)
        assert len(bulks) == (threshold <= 100)
        assert (len(packed) < 100) == (threshold <= 100)


def test_keys_stay_in_the_message(seam: Seam) -> None:
    value = {b"k" * 100: b"v" * 100}
    packed, bulks = seam.encode(value, 10)
    assert [bytes(bulk) for bulk in bulks] == [b"v" * 100]
    assert seam.decode(packed, bulks) == value


def test_numbers_follow_the_walk(seam: Seam) -> None:
    value = [b"a" * 9, {"k": [b"b" * 9, bytearray(b"c" * 9)]}, b"d" * 9]
    _, bulks = seam.encode(value, 9)
    assert b"".join(map(sent, bulks)) == b"".join(c * 9 for c in (b"a", b"b", b"c", b"d"))


def test_what_a_substitute_replaces_leaves_nothing_behind(seam: Seam) -> None:
    class Odd(tuple):
        pass

    class Refused:
        pass

    value = [b"x" * 20, Odd((b"y" * 20, Refused())), b"z" * 20]
    packed, bulks = seam.encode(value, 10, lambda _: b"s" * 20)
    assert b"".join(map(sent, bulks)) == b"x" * 20 + b"y" * 20 + b"s" * 20 + b"z" * 20
    assert seam.decode(packed, bulks) == [b"x" * 20, [b"y" * 20, b"s" * 20], b"z" * 20]


def test_types_of_the_program_have_bulk_too(seam: Seam) -> None:
    from snakepit_bridge import register_decoder, register_encoder

    class Blob:
        def __init__(self, data: bytes) -> None:
            self.data = data

    register_encoder(Blob, lambda blob: [blob.data], name="outside.Blob")
    register_decoder("outside.Blob", lambda parts: Blob(parts[0]))
    packed, bulks = seam.encode([b"a" * 20, Blob(b"b" * 20)], 20)
    assert [*map(sent, bulks)] == [b"a" * 20, b"b" * 20]
    assert seam.decode(packed, bulks)[1].data == b"b" * 20


def test_arrays_are_views_of_what_arrived(seam: Seam) -> None:
    np = pytest.importorskip("numpy")
    for array in (np.arange(100.0), np.arange(100.0).reshape(10, 10).T):
        packed, bulks = seam.encode({"a": array}, 100)
        room = bytearray(sent(bulks[0]))
        arrived = seam.decode(packed, [room])["a"]
        assert np.shares_memory(arrived, np.frombuffer(room))
        assert not arrived.flags.writeable, "though what it views could be"
        assert same(array, arrived)


def test_bytes_are_copied_and_memory_is_not(seam: Seam) -> None:
    packed, _ = seam.encode([b"a" * 100, bytearray(b"b" * 100)], 100)
    first, second = bytearray(b"a" * 100), bytearray(b"b" * 100)
    data, view = seam.decode(packed, [first, second])
    assert (type(data), type(view), view.readonly) == (bytes, memoryview, True)
    first[:1] = second[:1] = b"!"
    assert (data[:1], bytes(view[:1])) == (b"a", b"!")


def test_the_sender_copies_no_contiguous_array(seam: Seam) -> None:
    np = pytest.importorskip("numpy")
    array = np.arange(1000.0)
    if seam.codec == load("native"):
        pytest.skip("its bulk is told to Python as a copy")
    _, bulks = seam.encode(array, 100)
    assert np.shares_memory(np.frombuffer(bulks[0]), array)


def reference(number: int, tag: int, head: bytes = b"") -> bytes:
    body = struct.pack(">Ib", number, tag) + head
    return b"\xc8" + struct.pack(">Hb", len(body), 8) + body


F8 = b"\x03<f8"
LIES = {
    "no such number": (reference(1, 0), 8),
    "a number beyond all": (reference(2**32 - 1, 0), 8),
    "bytes with a head": (reference(0, 0, b"x"), 8),
    "memory with a head": (reference(0, 12, b"x"), 8),
    "a type that has no bulk": (reference(0, 2), 8),
    "a reference to a reference": (reference(0, 8), 8),
    "an unknown type": (reference(0, 100), 8),
    "no type": (b"\xd6\x08\0\0\0\0", 8),
    "no number": (b"\xd4\x08\0", 8),
    "an array larger than its buffer": (reference(0, 6, F8 + b"\1" + struct.pack(">Q", 2)), 8),
    "an array smaller than its buffer": (reference(0, 6, F8 + b"\0"), 16),
    "a shape beyond 64 bits": (reference(0, 6, F8 + b"\2" + b"\xff" * 16), 8),
    "an array of objects": (reference(0, 6, b"\x02|O\0"), 8),
    "an array with items in its head": (reference(0, 6, F8 + b"\0" + bytes(8)), 8),
    "an array without a shape": (reference(0, 6, F8), 8),
    "65 dimensions": (reference(0, 6, F8 + b"\x41" + struct.pack(">Q", 1) * 65), 8),
    "records without a description": (reference(0, 13, b"\0\0\0\4null\0"), 8),
    "no Arrow stream": (reference(0, 14, b"t"), 8),
    "a tensor of objects": (reference(0, 15, b"\x02|O\0"), 8),
}


@pytest.mark.parametrize(("packed", "size"), LIES.values(), ids=LIES.keys())
def test_lies_about_buffers_are_refused(seam: Seam, packed: bytes, size: int) -> None:
    with pytest.raises(seam.codec.DecodeError, match=r"^value"):
        seam.decode(packed, [bytes(size)])


def test_codecs_refuse_alike(seams: list[Seam]) -> None:
    for packed, size in LIES.values():
        told = set()
        for seam in seams:
            with pytest.raises(seam.codec.DecodeError) as caught:
                seam.decode(packed, [bytes(size)])
            told.add(str(caught.value))
        assert len(told) == 1


@given(st.binary(max_size=30), st.sampled_from([0, 6, 12, 13, 14, 15]), st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_reference_is_a_value_or_refused_alike(
    seams: list[Seam], head: bytes, tag: int, data: bytes
) -> None:
    told = set()
    for seam in seams:
        try:
            seam.decode(reference(0, tag, head), [data])
        except seam.codec.DecodeError as error:
            told.add(str(error))
        else:
            told.add("")
    assert len(told) == 1
