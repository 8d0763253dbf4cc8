"""One source of settings, read: what it says of the host, of all pools, and of single ones.

A document is what a TOML file has, a tree of tables; variables and code are given the same form.
Every key is known or refused, every value is of its kind, and each has its origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from snakepit._settings import _original
from snakepit._settings._keys import HOST, OF_POOLS, POOLS, Group, closest
from snakepit._settings._layers import Leaf, Table, put, table
from snakepit._settings._lines import Path
from snakepit._settings._origin import At, Origin
from snakepit._settings._units import Text, as_toml

Where = Callable[[Path], Origin]
"""Tells where the value at a path is written."""


@dataclass(frozen=True)
class Source:
    """What one source says."""

    host: Table
    shared: Table
    """Of all pools."""
    pools: Mapping[str, Table] = field(default_factory=dict)
    """Of single ones."""
    named: Mapping[str, Origin] = field(default_factory=dict)
    """Where the single ones begin."""
    file: str | None = None
    """The file that it is, if it is one."""
    variables: bool = False
    """It is the environment, in whose names of pools case and punctuation are lost."""


def read(document: Mapping[str, Any], where: Where) -> Source:
    """Read a document.

    Raises:
        ConfigError: A key is unknown, or a value not of its kind.
    """
    host = dict[str, Any]()
    pools, named = dict[str, Table](), dict[str, Origin]()
    for key, value in document.items():
        at = At(key, where((key,)))
        if key in HOST:
            put(host, (key,), Leaf(HOST[key].read(value, at), at.origin))
        elif key in _original.OF_HOST:
            for ours, given in _original.NAMES[key].read(_toml(value), at):
                if ours[0] in document:
                    at.refuse(f"says the same as {ours[0]}; leave one out")
                put(host, ours, Leaf(HOST[ours[0]].read(given, at), at.origin))
    of_host = {*HOST, *_original.OF_HOST, POOLS}
    rest = {key: it for key, it in document.items() if key not in of_host}
    shared = _pool(rest, (), where)
    for name, each, path in _single(document.get(POOLS, {}), where):
        origin = where(path)
        if name in pools:
            At(_shown(path), origin).refuse(
                f'there is a pool "{name}" already ({named[name]})', field="name"
            )
        pools[name], named[name] = _pool(each, path, where), origin
    return Source(table(host), shared, pools, named)


def _single(value: Any, where: Where) -> Iterator[tuple[str, Mapping[str, Any], Path]]:
    at = At(POOLS, where((POOLS,)))
    if isinstance(value, Mapping):
        for name, each in value.items():
            path: Path = (POOLS, name)
            if not isinstance(each, Mapping):
                At(_shown(path), where(path)).wrong("a table", each)
            said = each.get("name", name)
            if said != name:
                At(f"{_shown(path)}.name", where((*path, "name"))).refuse(
                    f'the pool is called "{name}" already; leave it out'
                )
            yield name, {key: it for key, it in each.items() if key != "name"}, path
        return
    if not isinstance(value, list | tuple):
        at.wrong("an array of tables, or a table of tables", value)
    for number, each in enumerate(value):
        path = (POOLS, number)
        if not isinstance(each, Mapping):
            At(_shown(path), where(path)).wrong("a table", each)
        name = each.get("name")
        if not isinstance(name, str):
            place = where((*path, "name") if "name" in each else path)
            At(f"{_shown(path)}.name", place).wrong("a name for the pool", name)
        yield name, {key: it for key, it in each.items() if key != "name"}, path


def _shown(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _pool(document: Mapping[str, Any], base: Path, where: Where) -> Table:
    entries, said = dict[str, Any](), dict[tuple[str, ...], At]()
    for key, value in document.items():
        path = (*base, key)
        at = At(_shown(path), where(path))
        for ours, given, place in _ours(key, value, at, path, where):
            if ours in said:
                place.refuse(
                    f"says the same as {said[ours].field} ({said[ours].origin}); leave one out"
                )
            said[ours] = place
            put(entries, *_leaf(ours, given, place))
    return table(entries)


def _ours(
    key: str, value: Any, at: At, path: Path, where: Where
) -> Iterator[tuple[tuple[str, ...], Any, At]]:
    """The paths among our keys that one key says something of, with the values."""
    if key in _original.NAMES:
        for ours, given in _original.NAMES[key].read(_toml(value), at):
            yield ours, given, at
        return
    if key not in OF_POOLS:
        close = closest(key, *_original.NAMES)
        hint = f'did you mean "{close}"?' if close else "docs/configuration.md lists all"
        at.refuse(f'there is no key "{key}"; {hint}', suggestion=close)
    kind = OF_POOLS[key]
    if key == "adapter_args" and isinstance(listed := _toml(value), list):
        for ours, given in _original.adapter_words(listed, at):
            yield ours, given, at
        return
    if _original.is_python_table(key, _toml(value)):
        at.refuse("no interpreter is installed here; name one: a file, or a virtual environment")
    if isinstance(kind, Group) and isinstance(asked := _toml(value), Mapping):
        translate = {"heartbeat": _original.heartbeat, "crash_barrier": _original.crash_barrier}
        pairs = (
            translate[key](asked, at)
            if key in translate
            else (((key, inner), given) for inner, given in asked.items())
        )
        for ours, given in pairs:
            # Of a renamed key the table's own place is near enough.
            exact = where((*path, ours[-1])) if ours[-1] in asked else at.origin
            yield ours, given, At(f"{at.field}.{ours[-1]}" if ours[0] == key else at.field, exact)
        return
    yield (key,), value, at


def _toml(value: Any) -> Any:
    if type(value) is not Text:
        return value
    read = as_toml(str(value))
    return value if read == value else read  # Still to be read by what its key is.


def _leaf(ours: tuple[str, ...], value: Any, place: At) -> tuple[tuple[str, ...], Leaf]:
    key, *inner = ours
    kind = OF_POOLS.get(key)
    if kind is None:
        place.refuse(f'there is no key "{key}"')
    if not isinstance(kind, Group):
        return ours, Leaf(kind.read(value, place), place.origin)
    if inner:
        (name,) = inner
        if name not in kind.keys:
            import difflib

            close = difflib.get_close_matches(name, kind.keys, 1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(kind.keys)}"
            place.refuse(
                f'there is no key "{name}" in {key}; {hint}',
                suggestion=close[0] if close else None,
            )
        return ours, Leaf(kind.keys[name].read(value, place), place.origin)
    return ours, Leaf(_whole(kind, value, place), place.origin)


def _whole(kind: Group, value: Any, at: At) -> Any:
    """What stands in the place of a table."""
    text = str(value) if isinstance(value, str) else value
    if kind.none and (text is None or text == "none"):
        return None
    if isinstance(text, str) and text in kind.words:
        return text
    if at.origin.kind == "code" and not isinstance(value, str | int | float | list | tuple):
        return value
    return at.wrong(kind.expected, value)
