"""The environment: ``SNAKEPIT_SIZE``, ``SNAKEPIT_RECYCLE__CALLS``, ``SNAKEPIT_POOLS__GPU__SIZE``.

A key in capitals behind the prefix; two underscores go into a table. What else begins with the
prefix is left alone, since the environment is everybody's: unless it is so near to a key that it
was meant for one, or in a table of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snakepit._settings import _original
from snakepit._settings._document import Source, read
from snakepit._settings._keys import HOST, OF_POOLS, POOLS, Group
from snakepit._settings._origin import At, Origin
from snakepit._settings._units import Text

PREFIX = "SNAKEPIT_"
CONFIG = "SNAKEPIT_CONFIG"
HALT = "SNAKEPIT_SCRIPT_HALT"

OTHERS = frozenset({"CONFIG", "SCRIPT_HALT", "RUN", "GROUP", "LIMITS", "FAIL"})
"""Names that are no keys: these two, those by which a worker is told what it is, and the points of
failure of our own tests. ``SNAKEPIT_LIMITS`` is a worker's, so what workers may take is told key by
key: ``SNAKEPIT_LIMITS__NICE``."""


def variables(environ: Mapping[str, str]) -> Source:
    """What the environment says.

    Raises:
        ConfigError: A name was most likely meant for a key, or a value is not of its kind.
    """
    document: dict[str, Any] = {}
    origins: dict[tuple[str | int, ...], Origin] = {}
    # Sorted, so that the same environment is told the same in every process.
    for name in sorted(environ):
        if not name.startswith(PREFIX) or not environ[name]:
            continue
        rest = name.removeprefix(PREFIX)
        origin = Origin("environment", variable=name)
        if rest in OTHERS or not _is_ours(rest, name, origin):
            continue
        path = tuple(rest.lower().split("__"))
        _put(document, path, Text(environ[name]), At(name, origin))
        for length in range(1, len(path) + 1):
            origins.setdefault(path[:length], origin)
        origins[path] = origin

    def where(path: tuple[str | int, ...]) -> Origin:
        return origins.get(path, origins.get(path[:1], Origin("environment")))

    return replace(read(document, where), variables=True)


def _is_ours(rest: str, name: str, origin: Origin) -> bool:
    head, *inner = rest.lower().split("__")
    known = [*OF_POOLS, *HOST, *_original.NAMES]
    if head in known or (head == POOLS and inner):
        return True
    if head == POOLS:
        At(name, origin).refuse(f"name a pool and a key: {PREFIX}POOLS__DEFAULT__SIZE")
    import difflib

    if close := difflib.get_close_matches(head, known, 1, 0.8):
        meant = "__".join([close[0], *inner]).upper()
        At(name, origin).refuse(
            f'there is no key "{head}"; did you mean {PREFIX}{meant}?',
            suggestion=f"{PREFIX}{meant}",
        )
    return False


def _put(document: dict[str, Any], path: tuple[str, ...], text: Text, at: At) -> None:
    *tables, last = path
    here = document
    for key in tables:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            at.refuse("there is a variable for the whole table, too; leave one of them out")
    if not last or isinstance(here.get(last), dict):
        at.refuse("a key is needed behind __")
    depth = len(path) - (2 if path[0] == POOLS else 0)
    kind = OF_POOLS.get(path[0] if path[0] != POOLS else (path[2] if len(path) > 2 else ""))
    if depth > 1 and not isinstance(kind, Group) and path[-2] not in _TABLES:
        at.refuse(f'"{path[-2]}" has no keys of its own; give it a whole value, as in TOML')
    here[last] = text


_TABLES = frozenset(
    {"pool_config", "session_store", "zero_copy", "telemetry_metrics", "prometheus"}
)
