"""On which line of a TOML document each key stands.

The standard library's parser tells values and no places. This reads the document once more, after
that parser has found it right, and so only has to tell keys from values: it knows strings, comments
and brackets, and what they enclose. Positions are by path: names of tables and keys, numbers of
array elements.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""{1,3}(?!")|"(?:\\.|[^"\\\n])*"'
    r"|'''.*?'''{1,3}(?!')|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each key, table header and array element of a document that is TOML."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._found: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}
        """How many elements each array of tables has so far."""

    def read(self) -> dict[Path, int]:
        here: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                here = self._header()
            else:
                self._pair(here)
        return self._found

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()
        return self._at

    def _note(self, path: Path, at: int) -> None:
        self._found.setdefault(path, bisect_right(self._starts, at))

    def _header(self) -> Path:
        start, several = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        path = self._inside(self._key(), several)
        self._at += 2 if several else 1
        for length in range(1, len(path) + 1):
            self._note(path[:length], start)
        return path

    def _inside(self, names: list[str], several: bool) -> Path:
        """The path of a header, in which a name of an array of tables means its last element."""
        path: Path = ()
        for place, name in enumerate(names):
            path = (*path, name)
            if several and place == len(names) - 1:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                names.append(self._quoted())
            else:
                start = self._at
                names.append(self._text[start : self._skip(_BARE)])
                if start == self._at:
                    raise ValueError(f"no key at {start}")
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _quoted(self) -> str:
        start = self._at
        quoted = self._text[start : self._skip(_STRING)]
        if quoted[0] == "'":
            return quoted[1:-1]
        import tomllib

        read: str = tomllib.loads(f"x = {quoted}")["x"]
        return read

    def _pair(self, here: Path) -> None:
        start = self._at
        path: Path = (*here, *self._key())
        for length in range(len(here) + 1, len(path) + 1):
            self._note(path[:length], start)
        self._at += 1  # The sign of equality.
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        match self._text[self._at]:
            case "[":
                self._each(path, "]")
            case "{":
                self._each(path, "}")
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _each(self, path: Path, end: str) -> None:
        self._at += 1
        index = 0
        while self._skip(_BLANK) < len(self._text) and self._text[self._at] != end:
            if end == "}":
                self._pair(path)
            else:
                self._note((*path, index), self._at)
                self._value((*path, index))
                index += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
        self._at += 1
