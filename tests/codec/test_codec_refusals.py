"""What does not travel is refused with its path, its type and what to send instead."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import pathlib
import types
from typing import Any

import pytest
from codec_values import Codec


class Shade(enum.Enum):
    DARK = 1


@dataclasses.dataclass
class Settings:
    level: int = 1


class FrozenClock(datetime.datetime):
    pass


class Money(decimal.Decimal):
    pass


class Tensor:
    def __dlpack__(self) -> object:
        raise AssertionError("looked at, not called")


class Table:
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise LookupError("no such table")


class Shy:
    """Answers for every attribute, as mocks do."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


async def coroutine() -> None: ...


def unstarted() -> Any:
    pending = coroutine()
    pending.close()
    return pending


REFUSED = [
    ({1}, "set", "use a list"),
    (frozenset((1,)), "frozenset", "use a list"),
    (1j, "complex", "send its .real and .imag"),
    (Shade.DARK, "Shade", "send its .value or .name"),
    (Settings(), "Settings", r"use dataclasses.asdict\(\)"),
    (FrozenClock(2024, 1, 1), "FrozenClock", "convert it to a plain datetime.datetime"),
    (Money(1), "Money", "convert it to a plain decimal.Decimal"),
    (Tensor(), "Tensor", "convert it to a numpy.ndarray"),
    (Table(), "Table", "(install pyarrow|no Arrow data: LookupError: no such table)"),
    (pathlib.PurePosixPath("/"), "pathlib.*PurePosixPath", r"use str\(\)"),
    (types.MappingProxyType({}), "mappingproxy", r"use dict\(\)"),
    (collections.UserDict(), "collections.UserDict", r"use dict\(\)"),
    (range(3), "range", "use a list"),
    ((n for n in ()), "generator", "use a list"),
    (collections.deque(), "collections.deque", "use a list"),
    ({}.keys(), "dict_keys", "use a list"),
    (io.StringIO(), "StringIO", "send its path or what it holds"),
    (unstarted(), "coroutine", "await it"),
    (ValueError("no"), "ValueError", r"raise it, or send str\(\)"),
    (Shy(), "Shy", "send plain values"),
    (object(), "object", "send plain values"),
    (len, "builtin_function_or_method", "send plain values"),
    (int, "type", "send plain values"),
]


@pytest.mark.parametrize(("value", "name", "remedy"), REFUSED, ids=lambda v: type(v).__name__)
def test_refused_with_path_type_and_remedy(
    codec: Codec, value: Any, name: str, remedy: str
) -> None:
    expected = rf'^args\["a"\]\[1\]\["b"\]: cannot encode (\S*\.)?{name}; .*{remedy}'
    with pytest.raises(codec.EncodeError, match=expected) as caught:
        codec.encode({"a": [0, {"b": value}]}, "args")
    assert caught.value.path == 'args["a"][1]["b"]'
    assert caught.value.type_name.endswith(name.rsplit("*")[-1])


def test_pandas_values_are_refused_with_their_own_way_out(codec: Codec) -> None:
    pd = pytest.importorskip("pandas")
    for value, remedy in [
        (pd.Timestamp(0), r"pandas\S*Timestamp; convert it with .to_pydatetime\(\)"),
        (pd.Timedelta(1), r"pandas\S*Timedelta; convert it with .to_pytimedelta\(\)"),
        (pd.NaT, "use None"),
        (pd.NA, "use None"),
        (pd.Index([1]), r"Index; convert it with .to_numpy\(\) or .tolist\(\)"),
    ]:
        with pytest.raises(codec.EncodeError, match=remedy):
            codec.encode(value)


@pytest.mark.parametrize(
    "key", [(1,), frozenset(), datetime.date.min, decimal.Decimal(1), object()]
)
def test_keys_are_scalars(codec: Codec, key: Any) -> None:
    with pytest.raises(
        codec.EncodeError, match=r'^value\["a"\]: a dict key must be None, bool'
    ) as caught:
        codec.encode({"a": {"fine": 1, key: 2}})
    assert caught.value.path == 'value["a"]'
    assert type(key).__name__ in caught.value.type_name


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("plain", '["plain"]'),
        ('say "x"\\\n\x07', '["say \\"x\\"\\\\\\n\\u0007"]'),
        ("日本", '["日本"]'),
        (1, "[1]"),
        (-2.5, "[-2.5]"),
        (None, "[None]"),
        (True, "[True]"),
        (b"k", "[b'k']"),
        (10**5000, "[<int>]"),
        ("x" * 200, '["' + "x" * 59 + "…]"),
        ("é" * 20_000, '["' + "é" * 59 + "…]"),
    ],
    ids=lambda value: repr(value)[:20] if value != 10**5000 else "huge",
)
def test_paths_show_keys_as_code_does(codec: Codec, key: Any, text: str) -> None:
    with pytest.raises(codec.EncodeError) as caught:
        codec.encode({"first": 0, key: [[], {1}]}, "args")
    assert caught.value.path == f"args{text}[1]"
    assert str(caught.value).startswith(f"args{text}[1]: cannot encode set; ")


def test_paths_name_items_of_tuples_and_the_root_itself(codec: Codec) -> None:
    with pytest.raises(codec.EncodeError) as caught:
        codec.encode((0, ({1},)))
    assert caught.value.path == "value[1][0]"
    with pytest.raises(codec.EncodeError) as caught:
        codec.encode({1}, "chunk")
    assert (caught.value.path, caught.value.type_name) == ("chunk", "set")


def test_a_decode_error_has_a_path_too(codec: Codec) -> None:
    with pytest.raises(
        codec.DecodeError, match=r'^result\["a"\]\[1\]: a str is no UTF-8'
    ) as caught:
        codec.decode(b"\x81\xa1a\x92\x01\xa2\xff\xfe", "result")
    assert caught.value.path == 'result["a"][1]'
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)


def test_lone_surrogates_are_refused_where_they_are(codec: Codec) -> None:
    for value, path in [
        ({"s": ["x", "x\ud800"]}, 'value["s"][1]'),
        ({"s": {"t": "\udcff"}}, 'value["s"]["t"]'),
        (["é" * 20_000 + "\ud800"], "value[0]"),
        ("\ud800", "value"),
    ]:
        with pytest.raises(codec.EncodeError, match="lone surrogates; send bytes") as caught:
            codec.encode(value)
        assert (caught.value.path, caught.value.type_name) == (path, "str")
        assert isinstance(caught.value.__cause__, UnicodeEncodeError)
    with pytest.raises(codec.EncodeError, match="lone surrogates"):
        codec.encode({"a": {"k\ud800": 1}})


def test_cycles_and_depth_are_errors(codec: Codec) -> None:
    cycle: list[Any] = []
    cycle.append({"again": cycle})
    with pytest.raises(codec.EncodeError, match="nested deeper than 128 containers") as caught:
        codec.encode(cycle)
    assert "…" in caught.value.path
    assert len(caught.value.path) < 300

    deep: Any = 1
    for _ in range(129):
        deep = (deep,)
    with pytest.raises(codec.EncodeError, match="nested deeper than 128"):
        codec.encode(deep)


class Broken(datetime.tzinfo):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
        raise self.error


def test_an_error_of_the_users_code_is_the_cause(codec: Codec) -> None:
    error = ZeroDivisionError("no such hour")
    value = {"t": datetime.datetime(2024, 1, 1, tzinfo=Broken(error))}
    text = r'^value\["t"\]: cannot encode datetime.datetime: ZeroDivisionError: no such hour'
    with pytest.raises(codec.EncodeError, match=text) as caught:
        codec.encode(value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_what_wants_out_is_not_dressed_up(codec: Codec, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        codec.encode([datetime.datetime(2024, 1, 1, tzinfo=Broken(error))])
    assert caught.value is error


def test_a_released_view_is_refused(codec: Codec) -> None:
    view = memoryview(b"ab")
    view.release()
    with pytest.raises(
        codec.EncodeError, match=r"cannot encode memoryview: ValueError: .*released"
    ):
        codec.encode(view)
