"""Exceptions as text: where they start, what they include, and that describing never fails."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from snakepit_bridge import BaseAdapter
from snakepit_bridge._failure import LIMIT, describe
from snakepit_bridge._suggest import Suggest, closest, did_you_mean


class Custom(Exception):
    pass


def described(raiser: Callable[[], object]) -> tuple[str, str, str]:
    try:
        raiser()
    except BaseException as error:
        return describe(type(error), error, error.__traceback__)
    raise AssertionError("nothing was raised")


def raising(error: BaseException) -> Callable[[], object]:
    def raiser() -> None:
        raise error

    return raiser


def test_builtins_are_named_shortly_and_others_fully() -> None:
    assert described(raising(ValueError("bad")))[:2] == ("ValueError", "bad")
    assert described(raising(Custom("x")))[0] == f"{__name__}.Custom"


def test_a_class_of_the_main_script_goes_by_its_known_name() -> None:
    error = type("Local", (Exception,), {"__module__": "__snakepit_main__"})
    assert described(raising(error()))[0] == "__main__.Local"


def test_the_traceback_is_pythons_own_text() -> None:
    _, _, text = described(lambda: {}["missing"])
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("KeyError: 'missing'\n")
    assert __file__ in text


def test_no_traceback_is_no_problem() -> None:
    assert describe(TypeError, TypeError("f() missing x"), None) == (
        "TypeError",
        "f() missing x",
        "TypeError: f() missing x\n",
    )


def test_causes_are_included() -> None:
    def chained() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise Custom("second") from error

    _, _, text = described(chained)
    assert "KeyError: 'first'" in text
    assert "direct cause" in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_groups_are_included() -> None:
    kind, _, text = described(raising(ExceptionGroup("two", [ValueError("a"), TypeError("b")])))
    assert kind == "ExceptionGroup"
    assert "ValueError: a" in text
    assert "TypeError: b" in text


def test_exceptions_that_cannot_be_shown_are_described_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise SystemExit("from __str__")

    kind, message, _ = described(raising(Broken()))
    assert kind.endswith("Broken")
    assert "SystemExit" in message


def test_surrogates_are_escaped() -> None:
    _, message, text = described(raising(ValueError("\udc80")))
    assert message == "\\udc80"
    text.encode()


def test_endless_recursion_is_described() -> None:
    def deeper() -> None:
        deeper()

    kind, _, text = described(deeper)
    assert kind == "RecursionError"
    assert "repeated" in text


@pytest.mark.parametrize("letter", ["x", "é", "🐍"])
def test_long_texts_lose_their_middle(letter: str) -> None:
    _, message, text = described(raising(ValueError("BEGIN" + letter * 200_000 + "END")))
    for cut in (message, text):
        assert LIMIT - 100 < len(cut.encode()) <= LIMIT
        assert "bytes are left out here" in cut
    assert message.startswith("BEGIN")
    assert message.endswith("END")


def test_a_method_without_the_mark_is_told_once() -> None:
    class Base(BaseAdapter):
        def inherited(self) -> None: ...

    class Model(Base):
        size = 3

        def predict(self) -> None: ...

        def _private(self) -> None: ...

    told: list[tuple[str, str]] = []
    suggest = Suggest(["predicts"], Model(), lambda topic, text: told.append((topic, text)))
    assert [suggest("predict"), suggest("predict")] == [["predicts"]] * 2
    for name in ("size", "_private", "initialize", "set_session_context", "nothing", "__init__"):
        suggest(name)
    suggest("inherited")
    assert [topic for topic, _ in told] == ["tools"] * 2
    assert [text.partition(" is no tool")[0] for _, text in told] == [
        f"{Model.__qualname__}.predict",
        f"{Model.__qualname__}.inherited",
    ]


def test_closest_names() -> None:
    tools = ["predict", "Batch_Process", "ping"]
    assert closest("predcit", tools) == ["predict"]
    assert closest("batch_proces", tools) == ["Batch_Process"]
    assert closest("zzz", tools) == []
    assert did_you_mean("pong", tools) == " Did you mean 'ping'?"
    assert did_you_mean("zzz", tools) == ""
