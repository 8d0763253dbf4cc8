"""numpy arrays and scalars: dtype, shape and bits arrive, whatever the strides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from codec_values import Codec, same

np = pytest.importorskip("numpy")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as npst  # noqa: E402

DTYPES = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="?")
    | npst.unsigned_integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?")
    | npst.complex_number_dtypes(endianness="?")
    | npst.datetime64_dtypes(endianness="?")
    | npst.timedelta64_dtypes(endianness="?")
    | npst.byte_string_dtypes(min_len=1)
    | npst.unicode_string_dtypes(endianness="?", min_len=1)
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(npst.arrays(DTYPES, SHAPES))
@settings(max_examples=200, deadline=None)
def test_arrays_arrive(codec: Codec, array: Any) -> None:
    for sent in (array, array.T, array[..., None][::-1], np.asfortranarray(array)):
        arrived = codec.there_and_back(sent)
        assert type(arrived) is np.ndarray
        assert same(np.asarray(sent), arrived)


def scalars_of(dtype: Any) -> Any:
    """Without lone surrogates, which arrays may hold and a scalar may not."""
    elements = npst.from_dtype(dtype, alphabet=st.characters(codec="utf-8"))
    return npst.arrays(dtype, (), elements=elements)


@given(DTYPES.flatmap(scalars_of))
@settings(max_examples=200, deadline=None)
def test_scalars_arrive_with_their_dtype(codec: Codec, array: Any) -> None:
    scalar = array[()]
    arrived = codec.there_and_back([scalar])[0]
    assert type(arrived) is type(scalar)
    # A scalar is native: numpy swaps the bytes of a foreign one when it makes it.
    assert arrived.dtype == scalar.dtype
    assert arrived.tobytes() == scalar.tobytes()


@pytest.mark.parametrize(
    "scalar",
    [
        np.str_("nul at the end\0"),
        np.str_(""),
        np.bytes_(b"nul\0\0"),
        np.bytes_(b""),
        np.longdouble(1) / 3,
        np.datetime64("NaT", "ns"),
    ],
    ids=repr,
)
def test_odd_scalars_arrive(codec: Codec, scalar: Any) -> None:
    arrived = codec.there_and_back(scalar)
    assert type(arrived) is type(scalar)
    assert arrived.dtype == scalar.dtype
    assert arrived.tobytes() == scalar.tobytes()
    if isinstance(scalar, str | bytes):
        assert len(arrived) == len(scalar)


def test_a_float64_is_not_taken_for_a_float(codec: Codec) -> None:
    arrived = codec.there_and_back([np.float64(0.1), 0.1])
    assert [type(item) for item in arrived] == [np.float64, float]


def test_keys_that_are_subclasses_of_plain_types_are_plain(codec: Codec) -> None:
    keys = [np.float64(1.5), np.str_("a"), np.bytes_(b"q")]
    assert same({1.5: 0, "a": 1, b"q": 2}, codec.there_and_back({k: n for n, k in enumerate(keys)}))
    with pytest.raises(ValueError, match=r"not numpy.int64; convert it"):
        codec.encode({np.int64(1): 1})


def test_arrays_arrive_read_only_and_aligned(codec: Codec) -> None:
    arrived = codec.there_and_back([b"odd", np.arange(100.0)])[1]
    assert not arrived.flags.writeable
    assert arrived.flags.aligned
    assert arrived.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        arrived[0] = 1


def test_a_memory_map_arrives_as_an_array(codec: Codec, tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "map", dtype="i4", mode="w+", shape=(3, 2))
    mapped[:] = np.arange(6).reshape(3, 2)
    assert same(np.asarray(mapped), codec.there_and_back(mapped))


class Subclass(np.ndarray):  # type: ignore[misc, name-defined, unused-ignore]
    pass


REFUSED = [
    (np.array([object()]), "numpy.ndarray of objects; convert it to a list"),
    (np.zeros(2, []), "an array of structures without fields"),
    (np.zeros(2, "i4,f4")[0], "numpy.void; convert it with .item"),
    (np.ma.masked_array([1], [True]), r"numpy.ma\S*.MaskedArray; convert it with .filled"),
    (np.zeros(2).view(Subclass), r"Subclass; convert it with numpy.asarray"),
]


@pytest.mark.parametrize(("value", "text"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_refused_says_what_to_do(codec: Codec, value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=rf'^args\["m"\]\[0\]: cannot encode .*{text}') as caught:
        codec.encode({"m": [value]}, "args")
    assert caught.value.path == 'args["m"][0]'  # type: ignore[attr-defined]


def test_strings_of_any_length_are_refused(codec: Codec) -> None:
    variable = getattr(np, "dtypes", None) and getattr(np.dtypes, "StringDType", None)
    if variable is None:
        pytest.skip("this numpy has no StringDType")
    with pytest.raises(ValueError, match=r"convert it with .astype"):
        codec.encode(np.array(["a"], dtype=variable()))


def message(tag: int, dtype: bytes, rest: bytes) -> bytes:
    body = bytes([len(dtype)]) + dtype + rest
    return b"\xc8" + len(body).to_bytes(2, "big") + bytes([tag]) + body


def shape(*lengths: int) -> bytes:
    return bytes([len(lengths)]) + b"".join(length.to_bytes(8, "big") for length in lengths)


MALFORMED = [
    message(6, b"|O", shape(1) + bytes(8)),
    message(6, b"|O8", shape(1) + bytes(8)),
    message(6, b"O", shape(1) + bytes(8)),
    message(6, b"<V8", shape(1) + bytes(8)),
    message(6, b"|V0", shape(1)),
    message(6, b"bfloat17", shape(1) + bytes(2)),
    message(6, b"<f1", shape(1) + bytes(1)),
    message(6, b"i4,O", shape(1) + bytes(12)),
    message(6, b"<i4", shape(2) + bytes(4)),
    message(6, b"<i4", shape(1) + bytes(8)),
    message(6, b"<i4", shape(2**62, 2**62) + bytes(4)),
    message(6, b"<i4", shape(0, 2**62)),
    message(6, b"<i4", shape(2**64 - 1, 0)),
    message(6, b"<U0", shape(2**62)),
    message(6, b"<i3", shape(1) + bytes(3)),
    message(6, b"<i4", shape(*[1] * 65) + bytes(4)),
    message(6, b"<i4", b"\x02" + bytes(9)),
    message(6, b"<M8[parsec]", shape(1) + bytes(8)),
    message(6, b"<M8[s]//3", shape(1) + bytes(8)),
    message(6, b"\xff\xfe", shape()),
    message(7, b"|O", bytes(8)),
    message(7, b"<f8", bytes(7)),
    message(7, b"<U1", b"\x00\xd8\x00\x00"),
    message(7, b"<U1", b"\xff\xff\xff\xff"),
    message(7, b"<U1", bytes(3)),
    b"\xd4\x06\x05",
    b"\xd4\x07\x00",
]


@pytest.mark.parametrize("packed", MALFORMED, ids=lambda packed: packed.hex()[:40])
def test_malformed_arrays_are_refused(codec: Codec, packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"^value: ") as caught:
        codec.decode(packed)
    assert type(caught.value).__name__ == "DecodeError"
