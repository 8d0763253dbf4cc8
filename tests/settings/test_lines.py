"""On which line a key stands: compared with Python's own parser, on documents of all shapes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._settings._lines import Path, lines

NAMES = st.one_of(st.sampled_from(["a", "b-c", "7", "d_e"]), st.text(max_size=6))
STRINGS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def quoted(text: str) -> str:
    escaped = "".join(c if c.isalnum() or c in " _-#[]{}=,.'" else f"\\U{ord(c):08X}" for c in text)
    return f'"{escaped}"'


def key(name: str) -> str:
    bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if bare else quoted(name)


VALUES = st.recursive(
    st.one_of(
        st.integers().map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.sampled_from(["true", "1979-05-27 07:32:00", "0x1F", "inf", "'# no [ comment'", "''"]),
        STRINGS.map(quoted),
        STRINGS.map(lambda text: f'"""\n{quoted(text)[1:-1]}\n""more"""'),
        st.just("'''\n[table]\nx = 1 # '' \n'''"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: "[ # why\n" + ",\n\n".join(each) + "\n]"),
        st.dictionaries(NAMES, inner.filter(lambda it: "\n" not in it), max_size=3).map(
            lambda table: "{ " + ", ".join(f"{key(k)} = {v}" for k, v in table.items()) + " }"
        ),
    ),
    max_leaves=5,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """A document, and the lines on which its keys were written."""
    text, told = "", dict[Path, int]()

    def write(line: str) -> int:
        nonlocal text
        for _ in range(draw(st.integers(0, 2))):
            text += draw(st.sampled_from(["\n", "# a = 1\n", "  \t\n"]))
        number = text.count("\n") + 1
        text += draw(st.sampled_from(["", "  "])) + line + "\n"
        return number

    def pairs(base: Path) -> None:
        for name, value in draw(st.dictionaries(NAMES, VALUES, max_size=3)).items():
            told[(*base, name)] = write(f"{key(name)} = {value} # [x]")

    pairs(())
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        if (name,) in told:
            continue
        if draw(st.booleans()):
            told[(name,)] = write(f"[ {key(name)} ]")
            pairs((name,))
        else:
            for number in range(draw(st.integers(1, 3))):
                line = write(f"[[{key(name)}]]")
                told.setdefault((name,), line)
                told[(name, number)] = line
                pairs((name, number))
    return text, told


def paths(value: Any, base: Path = ()) -> set[Path]:
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return {it for name, each in children for it in ({(*base, name)} | paths(each, (*base, name)))}


@given(documents())
def test_every_key_of_a_document_has_the_line_on_which_it_stands(
    written: tuple[str, dict[Path, int]],
) -> None:
    text, told = written
    found = lines(text)
    assert found.keys() == paths(tomllib.loads(text))
    assert {path: found[path] for path in told} == told


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a.b.c = 1", ("a", "b"), 1),
        ("\r\na = 1\r\nb = 2\r\n", ("b",), 3),
        ("[a]\n[a.b]\nc = 1", ("a", "b", "c"), 3),
        ("[[p]]\nn = 1\n[p.h]\nx = 1\n[[p]]\nn = 2\n[p.h]\nx = 2", ("p", 1, "h", "x"), 8),
        ('p = [\n  { n = "}" },\n  # ]\n  { n = 2 },\n]', ("p", 1, "n"), 4),
        ('a = """\nb = 1\n"""\nb = 2', ("b",), 4),
        ('a = "\\"" # "\nb = 2', ("b",), 2),
        ("a = ''''''\nb = 2", ("b",), 2),
        ('a = """""""" # five, and three\nb = 2', ("b",), 2),
    ],
    ids=range(9),
)
def test_a_line(text: str, path: Path, line: int) -> None:
    tomllib.loads(text)
    assert lines(text)[path] == line
