"""Types of the program travel under a name: the same over both codecs."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from typing import Any

import pytest
from codec_values import Codec, load, nested
from hypothesis import given, settings
from hypothesis import strategies as st
from test_codec_agree import agree, encoded
from test_codec_roundtrip import PLAIN_VALUES

from snakepit_bridge import _registry, register_decoder, register_encoder


class Money:
    def __init__(self, amount: Any, currency: Any = "EUR") -> None:
        self.amount, self.currency = amount, currency

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.amount!r}, {self.currency!r})"


class Cash(Money):
    pass


class Level(int):
    """Would travel as a plain int."""


class Moment(datetime.datetime):
    """Would be refused."""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Registers the types above; takes back what the test registers besides."""
    kept = dict(_registry.ENCODERS), dict(_registry.DECODERS)
    register_encoder(Money, lambda money: [money.amount, money.currency], name="app.Money")
    register_decoder("app.Money", lambda parts: Money(*parts))
    yield
    for registry, before in zip((_registry.ENCODERS, _registry.DECODERS), kept, strict=True):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def native() -> Codec:
    return load("native")


@pytest.fixture(scope="session")
def others() -> list[Codec]:
    return [load("pure"), load("walk")]


def test_a_value_arrives_as_its_decoder_makes_it(codec: Codec) -> None:
    for value in (Money(5), [Money(5), {"a": Money(None)}], Money(Money(2**80))):
        assert codec.there_and_back(value) == value


def test_the_body_is_name_and_message(codec: Codec) -> None:
    packed = codec.encode(Money(5, "francs"))
    message = codec.encode([5, "francs"])
    body = b"\x09app.Money" + message
    assert packed == bytes([0xC7, len(body), 11]) + body


def test_subclasses_travel_as_the_nearest_ancestor_does(codec: Codec) -> None:
    assert codec.there_and_back(Cash(5)) == Money(5)
    register_encoder(Cash, lambda cash: {"cash": cash.amount})
    register_decoder(Cash, lambda plain: Cash(plain["cash"]))
    assert codec.there_and_back(Cash(5)) == Cash(5)
    assert b"\x1ctest_codec_registry.Cash"[1:] in codec.encode(Cash(5))


@pytest.mark.parametrize(
    ("kind", "value"), [(Level, Level(3)), (Moment, Moment(2024, 1, 2)), (complex, 1j), (set, {1})]
)
def test_what_has_an_encoder_travels_by_it(codec: Codec, kind: type, value: Any) -> None:
    register_encoder(kind, lambda value: [str(value)], name="k")
    register_decoder("k", lambda plain: ("decoded", *plain))
    assert codec.there_and_back([value]) == [("decoded", str(value))]


def test_a_type_of_the_standard_library_can_be_taken_over(codec: Codec) -> None:
    register_encoder(decimal.Decimal, float, name="approximately")
    register_decoder("approximately", lambda number: number)
    assert codec.there_and_back(decimal.Decimal("0.1")) == 0.1


def test_an_encoder_that_fails_is_the_cause(codec: Codec) -> None:
    register_encoder(Money, lambda money: money.nothing)
    with pytest.raises(codec.EncodeError) as caught:
        codec.encode({"a": [Money(5)]}, "args")
    assert caught.value.path == 'args["a"][0]'
    assert "Money: AttributeError: " in str(caught.value)
    assert isinstance(caught.value.__cause__, AttributeError)


def test_an_encoder_that_makes_what_cannot_travel_is_refused(codec: Codec) -> None:
    register_encoder(Money, lambda money: [1, {money.amount}])
    with pytest.raises(codec.EncodeError) as caught:
        codec.encode([Money(5)], "args")
    assert (caught.value.path, caught.value.type_name) == ("args[0][1]", "set")


def test_an_encoder_without_an_end_is_refused(codec: Codec) -> None:
    register_encoder(Money, lambda money: money)
    with pytest.raises(codec.EncodeError, match="nested deeper than 128 containers"):
        codec.encode(Money(5))


def test_a_name_without_a_decoder_is_told(codec: Codec) -> None:
    packed = codec.encode([Money(5)])
    del _registry.DECODERS["app.Money"]
    with pytest.raises(codec.DecodeError) as caught:
        codec.decode(packed, "result")
    assert str(caught.value) == (
        'result[0]: no decoder for "app.Money" here; register one by register_decoder()'
    )


def test_a_decoder_that_fails_is_the_cause(codec: Codec) -> None:
    packed = codec.encode([Money(5)])
    register_decoder("app.Money", int)
    with pytest.raises(codec.DecodeError, match=r'the decoder for "app\.Money" failed') as caught:
        codec.decode(packed)
    assert isinstance(caught.value.__cause__, TypeError)


def test_codecs_may_be_used_inside(codec: Codec) -> None:
    register_encoder(Money, lambda money: codec.encode({"amount": money.amount}))
    register_decoder(Money, lambda packed: Money(codec.decode(packed)["amount"]))
    value = [{"amount": Money(1)}, Money(2)]
    assert codec.there_and_back(value) == value


def test_it_is_no_key(codec: Codec) -> None:
    with pytest.raises(codec.EncodeError, match="a dict key must be"):
        codec.encode({Money(5): 1})
    register_decoder("app.Money", lambda _: 5)
    packed = b"\x81" + codec.encode(Money(5)) + b"\x01"
    with pytest.raises(codec.DecodeError, match="a dict key must be a scalar"):
        codec.decode(packed)


@pytest.mark.parametrize("depth", [125, 126, 127, 128])
def test_depth_counts_through_it(native: Codec, others: list[Codec], depth: int) -> None:
    value: Any = Money(0)
    for _ in range(depth):
        value = [value]
    told = encoded(native, value)
    assert [told, told] == [encoded(codec, value) for codec in others]
    assert isinstance(told, bytes) == (depth <= 126)
    if isinstance(told, bytes):
        agree(native, others, told)
        agree(native, others, b"\x91" + told)


@given(
    nested(
        st.integers(0, len(PLAIN_VALUES) - 1).map(lambda place: PLAIN_VALUES[place][0])
        | st.builds(Money, st.integers() | st.text(max_size=300))
        | st.builds(Cash, st.builds(Money, st.binary(max_size=300))),
        st.text(),
    )
)
@settings(max_examples=200, deadline=None)
def test_the_codecs_agree(native: Codec, others: list[Codec], value: Any) -> None:
    packed = encoded(native, value)
    for codec in others:
        assert encoded(codec, value) == packed
    if isinstance(packed, bytes):
        one, *rest = [codec.encode(codec.decode(packed)) for codec in (native, *others)]
        assert [one, one] == rest


def test_they_read_every_wrong_byte_alike(native: Codec, others: list[Codec]) -> None:
    register_decoder("app.Money", lambda plain: ["money", plain])
    intact = native.encode([Money(2**70)])
    for place in range(len(intact)):
        for byte in range(256):
            agree(native, others, intact[:place] + bytes([byte]) + intact[place + 1 :])
        agree(native, others, intact[:place])


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        (dict, None, TypeError),
        (object, None, TypeError),
        (5, None, TypeError),
        (Money, "", ValueError),
        (Money, "é" * 128, ValueError),
    ],
)
def test_wrong_registrations_are_refused(kind: Any, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        register_encoder(kind, str, name=name)
    with pytest.raises(TypeError, match="a function is needed"):
        register_encoder(Money, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a function is needed"):
        register_decoder("app.Money", None)  # type: ignore[arg-type]
