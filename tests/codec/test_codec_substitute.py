"""What goes in the place of what cannot travel: the same over both codecs."""

from __future__ import annotations

import array
import datetime
import enum
from typing import Any
from unittest.mock import MagicMock

import pytest
from codec_values import Codec, load
from hypothesis import given, settings
from test_codec_agree import Moon, anything
from test_codec_refusals import REFUSED

from snakepit_bridge._graceful import Substitute
from snakepit_bridge._redaction import HIDDEN, redact

MARKED = Substitute()


def marker(name: str, **more: str) -> dict[str, Any]:
    return {"__ffi_unserializable__": True, "__type__": name, **more}


def sent(codec: Codec, value: Any, substitute: Any = MARKED) -> Any:
    return codec.decode(codec.encode(value, "result", substitute))


class Says:
    """Answers by the methods that it is made with."""

    def __new__(cls, **answers: Any) -> Any:
        def method(answer: Any) -> Any:
            def called(self: Any) -> Any:
                if isinstance(answer, Exception):
                    raise answer
                return self if answer is Says else answer

            return called

        methods = {name: method(answer) for name, answer in answers.items()}
        return object.__new__(type("Says", (), methods))


ALL = {
    "model_dump": {"by": "model_dump"},
    "to_dict": {"by": "to_dict"},
    "_asdict": {"by": "_asdict"},
    "tolist": ["tolist"],
    "isoformat": "isoformat",
}


def test_the_first_method_counts(codec: Codec) -> None:
    left = dict(ALL)
    for name, answer in ALL.items():
        assert sent(codec, {"a": [Says(**left)]}) == {"a": [answer]}
        del left[name]
    assert sent(codec, Says()) == marker(f"{__name__}.Says")


@pytest.mark.parametrize("answer", [ValueError("no"), MemoryError(), Says])
def test_a_method_that_fails_or_answers_itself_is_passed_over(codec: Codec, answer: Any) -> None:
    assert sent(codec, Says(model_dump=answer, to_dict={"b": 1})) == {"b": 1}
    everything = Says(**dict.fromkeys(ALL, answer))
    assert sent(codec, everything) == marker(f"{__name__}.Says")


def test_an_answer_may_need_a_substitute_too(codec: Codec) -> None:
    inner = Says(tolist=[{1}, Says(isoformat="now")])
    value = Says(model_dump={"inner": inner, "plain": 1})
    assert sent(codec, value) == {"inner": [marker("builtins.set"), "now"], "plain": 1}


def test_answers_without_an_end_are_refused(codec: Codec) -> None:
    class Endless:
        def to_dict(self) -> Any:
            return {"again": Endless()}

    with pytest.raises(codec.EncodeError, match="nested deeper than 128"):
        sent(codec, Endless())


def test_objects_that_answer_to_every_name_are_marked(codec: Codec) -> None:
    assert sent(codec, MagicMock()) == marker("unittest.mock.MagicMock")


class Shade(enum.Enum):
    DARK = 1


class Stamp(datetime.datetime):
    pass


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ({1}, marker("builtins.set")),
        (1j, marker("builtins.complex")),
        (Shade.DARK, marker(f"{__name__}.Shade")),
        (int, marker("builtins.type")),
        (array.array("i", [1, 2]), [1, 2]),
        (Stamp(2024, 1, 2), "2024-01-02T00:00:00"),
    ],
    ids=repr,
)
def test_known_types(codec: Codec, value: Any, arrives: Any) -> None:
    assert sent(codec, value) == arrives


def test_numpy_says_lists(codec: Codec) -> None:
    np = pytest.importorskip("numpy")
    assert sent(codec, np.array([{"a": 1}, None], dtype=object)) == [{"a": 1}, None]
    assert sent(codec, np.zeros(1, "i4,f8")[0]) == [0, 0.0]
    assert sent(codec, np.ma.masked_array([1, 2], [True, False])) == [None, 2]
    few = Substitute("none", 500, 3)
    refused = np.array([None] * 4, dtype=object)
    assert sent(codec, refused[:3], few) == [None] * 3
    assert sent(codec, refused, few) == marker("numpy.ndarray")
    assert sent(codec, np.zeros(4), few).shape == (4,), "it travels: no list is made"


def test_a_list_that_is_too_long_is_marked(codec: Codec) -> None:
    few = Substitute("none", 500, 3)
    assert sent(codec, Says(tolist=[[1, 2], [3]]), few) == [[1, 2], [3]]
    assert sent(codec, Says(tolist=[[1, 2], [3, 4]]), few) == marker(f"{__name__}.Says")


class Text:
    def __init__(self, text: Any) -> None:
        self.text = text

    def __repr__(self) -> str:
        if isinstance(self.text, Exception):
            raise self.text
        return str(self.text)


NAME = f"{__name__}.Text"


@pytest.mark.parametrize(
    ("rule", "text", "said"),
    [
        (("none", 500), "a", None),
        (("type", 500), "a", f"<unserializable {NAME}>"),
        (("repr_truncated", 500), "password='hidden'", "password='hidden'"),
        (("repr_truncated", 3), "abcdef", "abc"),
        (("repr_truncated", 0), "abcdef", ""),
        (("repr_truncated", 500), "\udc80", "\\udc80"),
        (("repr_truncated", 500), OSError("x"), f"<repr of {NAME} raised OSError>"),
        (("repr_redacted_truncated", 500), "password='hidden'", f"password='{HIDDEN}'"),
        (("repr_redacted_truncated", 12), "api_key='" + "k" * 1000, "api_key='<RE"),
        (("repr_redacted_truncated", 12), "a" * 8 + " sk-" + "k" * 1000, "aaaaaaaa sk-"),
    ],
)
def test_a_marker_says_what_the_pool_wants(codec: Codec, rule: Any, text: Any, said: Any) -> None:
    expected = marker(NAME) if said is None else marker(NAME, __repr__=said)
    assert sent(codec, Text(text), Substitute(*rule)) == expected


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Client(api_key='abc-123', size=1)", "abc-123"),
        ("{'Authorization': 'Bearer abc.def'}", "abc.def"),
        ("Authorization: Basic dXNlcjpwdw==", "dXNlcjpwdw=="),
        ("bearer abcdef", "abcdef"),
        ('{"password": "hun\\"ter2", "a": 1}', "ter2"),
        ("secret_token = b'xyz'", "xyz"),
        ("https://x/?token=abc123&y=1", "abc123"),
        ("postgres://user:pw123@host/db", "pw123"),
        ("key is sk-abcdefghij0123", "abcdefghij0123"),
        ("ghp_" + "a" * 36, "a" * 36),
        ("AKIA" + "A" * 16, "A" * 16),
        ("eyJhbGciOiJI.eyJzdWIi.c2lnbmF0", "eyJzdWIi"),
        ("Settings(password='cut off", "cut off"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text", ["Model(layers=3, n_tokens=512)", "token=None", "http://host:80/path", "author: me", ""]
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text


def test_keys_and_torn_texts_are_errors_all_the_same(codec: Codec) -> None:
    with pytest.raises(codec.EncodeError, match="a dict key must be"):
        sent(codec, {(1,): 1})
    with pytest.raises(codec.EncodeError, match="lone surrogates"):
        sent(codec, "\ud800")
    with pytest.raises(codec.EncodeError, match=r"no \S+ such place"):
        sent(codec, datetime.datetime(2024, 1, 1, tzinfo=Moon()))


@pytest.mark.parametrize(
    "value", [row[0] for row in REFUSED], ids=lambda value: type(value).__name__
)
def test_whatever_is_refused_has_a_substitute(codec: Codec, value: Any) -> None:
    assert isinstance(codec.encode([value], "result", MARKED), bytes)
    with pytest.raises(codec.EncodeError):
        codec.encode([value], "result")


def test_what_a_substitute_raises_is_the_cause(codec: Codec) -> None:
    def broken(value: Any) -> Any:
        raise LookupError("nothing instead")

    with pytest.raises(codec.EncodeError, match="nothing instead") as caught:
        codec.encode([1, {2}], "result", broken)
    assert caught.value.path == "result[1]"


@pytest.fixture(scope="session")
def native() -> Codec:
    return load("native")


@pytest.fixture(scope="session")
def others() -> list[Codec]:
    return [load("pure"), load("walk")]


def told(codec: Codec, value: Any) -> Any:
    try:
        return codec.encode(value, "result", MARKED)
    except codec.EncodeError as error:
        return str(error), error.path, error.type_name


@given(anything())
@settings(max_examples=300, deadline=None)
def test_the_codecs_agree(native: Codec, others: list[Codec], value: Any) -> None:
    packed = told(native, value)
    assert [packed, packed] == [told(codec, value) for codec in others]
