"""What is written on a command line, and what is said where it is wrong."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit._cli.words import json_object, seconds


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_an_object_is_read(value: dict[str, Any]) -> None:
    assert json_object(json.dumps(value), "JSON") == value


@given(st.text())
def test_whatever_is_no_object_is_refused_as_such(text: str) -> None:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict) and text != "-":
        with pytest.raises(typer.BadParameter):
            json_object(text, "JSON")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"a": 1,, "b": 2}',
            'column 9: Expecting property name enclosed in double quotes\n  {"a":',
        ),
        ('{\n "a": tru\n}', 'line 2, column 7: Expecting value\n   "a": tru\n        ^'),
        ("", "column 1: Expecting value"),
        ("[1, 2]", "not an array"),
        ('"text"', "not a string"),
        ("null", "not null"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        json_object(text, "JSON")
    assert said in caught.value.message


def test_a_long_line_is_shown_around_the_place() -> None:
    text = '{"key": "' + "x" * 500 + '", oops}'
    with pytest.raises(typer.BadParameter) as caught:
        json_object(text, "JSON")
    _, shown, pointer = caught.value.message.splitlines()
    assert len(shown) < 80
    assert shown[pointer.index("^")] == "o"


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": [1]}'))
    assert json_object("-", "JSON") == {"a": [1]}


def test_durations() -> None:
    written = {"3": 3, "1.5": 1.5, "250ms": 0.25, "2s": 2, "2m": 120, "1min": 60, "1h": 3600}
    assert {text: seconds(text, "--timeout") for text in written} == written
    assert seconds("none", "--timeout") is None
    for wrong in ("", "ms", "3 days", "3d", "-1", "nan", "inf", "1e99", "three"):
        with pytest.raises(typer.BadParameter):
            seconds(wrong, "--timeout")
