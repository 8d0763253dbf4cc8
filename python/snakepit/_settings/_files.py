"""The files: where they are looked for, and how they are read.

Looked for from the working directory upwards, as far as the first directory that has a
``snakepit.toml``, or a ``pyproject.toml`` with a table ``[tool.snakepit]``. Where it has both, both
count, and the ``snakepit.toml`` more.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from snakepit._settings._document import Source, read
from snakepit._settings._lines import lines
from snakepit._settings._origin import Origin
from snakepit.errors import ConfigError

OWN, PROJECT = "snakepit.toml", "pyproject.toml"
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")


def found(start: Path) -> list[Source]:
    """The files that count for a working directory, the stronger one first."""
    owners = {0, os.geteuid(), start.stat().st_uid}
    for folder in (start, *start.parents):
        sources = []
        for name in (OWN, PROJECT):
            path = folder / name
            # What is no file, or in a folder that may not be entered, is as good as none.
            if os.path.isfile(path) and (source := _one(path, owners)) is not None:
                sources.append(source)
        if sources:
            return sources
    return []


def named(path: Path) -> Source:
    """The one file that somebody has named.

    Raises:
        ConfigError: It cannot be read, is no TOML, has a wrong key or value, or is a
            ``pyproject.toml`` without the table.
    """
    source = _one(path, None)
    if source is None:
        raise ConfigError(
            f"{path}: there is no table [tool.snakepit]", field="path", source=str(path)
        )
    return source


def _one(path: Path, owners: set[int] | None) -> Source | None:
    try:
        with path.open("rb") as file:
            raw, owner = file.read(), os.fstat(file.fileno()).st_uid
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}", field="path", source=str(path)
        ) from None
    base: tuple[str, ...] = ()
    if path.name == PROJECT:
        # Most say nothing of us, and what else may be wrong with them is not ours to tell.
        if owners is not None and b"snakepit" not in raw:
            return None
        base = ("tool", "snakepit")
    text, document = _parse(path, raw)
    for key in base:
        document = document.get(key, {})
        if not isinstance(document, Mapping):
            raise ConfigError(f"{path}: {'.'.join(base)}: a table is needed", source=str(path))
    if base and not document:
        return None
    if owners is not None and owner not in owners:
        raise ConfigError(
            f"{path}: belongs to user {owner}, who could have any program run in the workers; if "
            "that is as it should be, name it: SNAKEPIT_CONFIG, or path=",
            field="path",
            source=str(path),
        )
    where = lines(text)

    def origin(place: tuple[str | int, ...]) -> Origin:
        for length in range(len(place), -1, -1):
            if (line := where.get((*base, *place[:length]))) is not None:
                return Origin("file", str(path), line)
        return Origin("file", str(path))

    return replace(read(document, origin), file=str(path))


def _parse(path: Path, raw: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - before.rfind(b"\n")
        _malformed(path, before.count(b"\n") + 1, column, "is not encoded in UTF-8")
    # Python's parser wants lines to end in one way only; its places are those of the file.
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        why = _PLACE.sub("", str(error)).strip()
        if place is None or place[1] is None:
            ended = text.rstrip("\n").split("\n")
            _malformed(path, len(ended), len(ended[-1]) + 1, why)
        _malformed(path, int(place[1]), int(place[2]), why)
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deep", source=str(path)) from None


def _malformed(path: Path, line: int, column: int, why: str) -> NoReturn:
    raise ConfigError(
        f"{path}:{line}:{column}: not TOML: {why}",
        source=f"{path}:{line}",
        line=line,
        column=column,
    ) from None
