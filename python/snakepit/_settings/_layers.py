"""Layers of settings, and how one is laid over another.

A layer is a tree: tables, and leaves with a value and its origin. The upper one counts, key by key;
so a file may set ``heartbeat.interval`` and a variable ``heartbeat.timeout``. Where one has a table
and the other a leaf (``heartbeat = "none"``), all of the upper one counts and nothing of the lower
one, nor of those below: the table is *sealed*. That makes laying over associative: any number of
layers can be laid together in any grouping, and the order alone decides.

.. code-block:: text

    code ▸ SNAKEPIT_* ▸ snakepit.toml ▸ pyproject.toml ▸ timeout profile ▸ defaults
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from snakepit._settings._origin import Origin


class Leaf(NamedTuple):
    """One value."""

    value: Any
    origin: Origin


class Table(NamedTuple):
    """Keys and what they have."""

    entries: Mapping[str, Leaf | Table]
    sealed: bool = False
    """Nothing of what lies below shows through."""


EMPTY = Table({})


def lay(upper: Table, lower: Table) -> Table:
    """Lay one layer over another."""
    if upper.sealed:
        return upper
    # In the order of the lower one, which was there first.
    entries = {
        key: _over(upper.entries[key], below) if key in upper.entries else below
        for key, below in lower.entries.items()
    }
    for key, above in upper.entries.items():
        entries.setdefault(key, above)
    return Table(entries, lower.sealed)


def _over(upper: Leaf | Table, lower: Leaf | Table) -> Leaf | Table:
    if isinstance(upper, Leaf):
        return upper
    if isinstance(lower, Leaf):
        return upper._replace(sealed=True)
    return lay(upper, lower)


def merge(layers: Iterable[Table]) -> Table:
    """Lay layers together; the first counts most."""
    merged = EMPTY
    for layer in layers:
        merged = lay(merged, layer)
    return merged


def put(entries: dict[str, Any], path: tuple[str, ...], leaf: Leaf) -> None:
    """Set the leaf at ``path`` in a tree of dicts that is being built."""
    *tables, last = path
    for key in tables:
        entries = entries.setdefault(key, {})
    entries[last] = leaf


def table(entries: Mapping[str, Any]) -> Table:
    """The layer of a tree of dicts and leaves."""
    return Table(
        {key: it if isinstance(it, Leaf | Table) else table(it) for key, it in entries.items()}
    )


def leaves(tree: Table, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Every leaf with its path."""
    for key, entry in tree.entries.items():
        if isinstance(entry, Leaf):
            yield (*path, key), entry
        else:
            yield from leaves(entry, (*path, key))


def plain(entry: Leaf | Table) -> Any:
    """The values alone."""
    if isinstance(entry, Leaf):
        return entry.value
    return {key: plain(each) for key, each in entry.entries.items()}
