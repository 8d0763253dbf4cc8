"""Sources, laid over each other: the settings of a host, and of each of its pools."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from snakepit._settings._document import Source, read
from snakepit._settings._files import OWN, PROJECT, found, named
from snakepit._settings._keys import POOL, TIMEOUT_PROFILE, Group
from snakepit._settings._layers import EMPTY, Leaf, Table, lay, leaves, merge, plain, table
from snakepit._settings._origin import CODE, DEFAULT, At, Origin
from snakepit._settings._timeouts import PROFILES
from snakepit._settings._variables import CONFIG, variables
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    from snakepit._base import PoolBase

    Made = TypeVar("Made", bound=PoolBase)

DEFAULT_POOL = "default"


@dataclass(frozen=True)
class PoolSettings:
    """The settings of one pool; ``settings().pool(name)``."""

    name: str
    """Name of the pool."""
    tree: Table
    """Every value that somebody has set, with its origin. What is not there has its default."""

    def values(self) -> dict[str, Any]:
        """Return the parameters of ``Pool`` that are set, the adapter among them.

        Raises:
            ConfigError: A table's value is wrong; ``error.source`` tells where it is written.
        """
        built = {"name": self.name}
        for key, entry in self.tree.entries.items():
            kind = POOL.get(key)
            if kind is None:
                continue
            value = plain(entry)
            if isinstance(kind, Group) and isinstance(entry, Table):
                try:
                    value = kind.build(value)
                except ConfigError as error:
                    raise self._told(error, key) from error
            built[key] = value
        return built

    def origin(self, field: str) -> Origin:
        """Return where a value comes from, by its field: ``"size"``, ``"heartbeat.interval"``."""
        entry: Leaf | Table = self.tree
        for key in field.split("."):
            below = entry.entries.get(key) if isinstance(entry, Table) else None
            if below is None:
                break
            entry = below
        while isinstance(entry, Table) and entry is not self.tree:
            entry = next(iter(entry.entries.values()))
        return entry.origin if isinstance(entry, Leaf) else DEFAULT

    def make(self, kind: type[Made]) -> Made:
        """Make the pool.

        Args:
            kind: ``Pool`` or ``AsyncPool``.

        Raises:
            ConfigError: A value is wrong; ``error.source`` tells where it is written.
            AdapterSourceError: No worker could find the adapter's class.
            StartError: The interpreter does not exist.
        """
        values = self.values()
        if "adapter" not in values:
            raise ConfigError(
                f'adapter: pool "{self.name}" has none; name its class as "module:Class"',
                field="adapter",
                suggestion="module:Class",
            )
        try:
            return kind(values.pop("adapter"), **{"size": 1, **values})
        except ConfigError as error:
            raise self._told(error) from error

    def _told(self, error: ConfigError, group: str | None = None) -> ConfigError:
        """The same error, and where what is wrong is written."""
        field, message = error.field or "", error.message
        if group is not None and field.split(".")[0] != group:
            field, message = f"{group}.{field}", f"{group}.{message}"
        origin = self.origin(field)
        if origin.kind not in ("default", "code"):
            message = f"{message} ({origin})"
        return ConfigError(
            message,
            field=field or None,
            suggestion=error.suggestion,
            source=str(origin),
            line=origin.line,
        )


@dataclass(frozen=True)
class Settings:
    """What a host is told; made by ``settings()``."""

    pools: Mapping[str, PoolSettings]
    """By name, in the order in which they are written."""
    host: Table
    """What is said once: ``pooling_enabled``, ``metrics_port``, ``log_level``,
    ``log_categories``."""
    files: Sequence[str] = ()
    """The files that were read, the one that counts most first."""
    looked_in: str | None = None
    """The directory from which they were looked for, where none was named."""

    def pool(self, name: str | None = None) -> PoolSettings:
        """Return the settings of one pool.

        Args:
            name: Which one. Default: the one of the name ``default``, or the only one.

        Raises:
            ConfigError: There is no such pool, or it is not clear which is meant.
        """
        return self.pools[chosen(name, self.pools, self._nothing)]

    def value(self, key: str) -> Any:
        """Return one of ``host``; ``None`` where it is not set."""
        return plain(self.host.entries[key]) if key in self.host.entries else None

    def same(self, other: Settings) -> bool:
        """Whether the values are the same, wherever they come from."""
        try:
            return self._plain() == other._plain()
        except Exception:  # Of values in code: arrays do not say whether they are equal.
            return False

    def _plain(self) -> dict[str, Any]:
        return {"": plain(self.host), **{it.name: plain(it.tree) for it in self.pools.values()}}

    def _nothing(self) -> str:
        where = (
            f"in {', '.join(self.files)}"
            if self.files
            else f"upwards from {self.looked_in} there is no {OWN}, and no {PROJECT} with a table "
            "[tool.snakepit]"
        )
        return f"no pool is configured: {where}; an adapter is the least that has to be said"


def chosen(name: str | None, pools: Mapping[str, Any], nothing: Any) -> str:
    """The name of the pool that is meant."""
    if name in pools:
        return name  # type: ignore[return-value]
    if not pools:
        raise ConfigError(nothing(), field="adapter")
    listed = ", ".join(pools)
    if name is None:
        if DEFAULT_POOL in pools:
            return DEFAULT_POOL
        if len(pools) == 1:
            return next(iter(pools))
        raise ConfigError(
            f"pool: there are several, and none is called {DEFAULT_POOL}; name one of {listed}",
            field="pool",
        )
    import difflib

    close = difflib.get_close_matches(str(name), [*pools], 1)
    hint = f'; did you mean "{close[0]}"?' if close else f"; there are {listed}"
    raise ConfigError(
        f'pool: there is no pool "{name}"{hint}',
        field="pool",
        suggestion=close[0] if close else None,
    )


def settings(path: str | PathLike[str] | None = None, **code: Any) -> Settings:
    """Read what this process is told about its pools; starts nothing.

    What is told in more than one place counts in this order: code, variables (``SNAKEPIT_SIZE``),
    ``snakepit.toml``, ``pyproject.toml``, the profile of timeouts, the defaults. See
    ``docs/configuration.md``.

    Args:
        path: The file, instead of those that are found upwards from the working directory; also
            by ``SNAKEPIT_CONFIG``.
        **code: Keys as in a file, with their values: parameters of ``Pool``, for all pools;
            ``pools``, for single ones; ``timeout_profile``, ``pooling_enabled``,
            ``metrics_port``, ``log_level``, ``log_categories``.

    Raises:
        ConfigError: Something is wrong: ``error.field``, ``error.source``, ``error.expected``.

    Example:
        >>> snakepit.settings().pool("compute").values()["size"]
        8
    """
    given = os.environ.get(CONFIG) if path is None else path
    start = None
    if given is not None:
        files = [named(Path(os.path.abspath(given)))]
    else:
        start = _working_directory()
        files = [] if start is None else found(start)
    sources = [read(code, lambda _: CODE), variables(os.environ), *files]
    return resolve(sources, looked_in=None if start is None else str(start))


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # It has been removed.
        return None


def resolve(sources: Sequence[Source], *, looked_in: str | None = None) -> Settings:
    """Lay sources over each other, the one that counts most first."""
    host = merge(source.host for source in sources)
    names = _names(sources)
    matched = [_matched(source, names) if source.variables else source for source in sources]
    pools = {name: PoolSettings(name, _pool(matched, name)) for name in names}
    files = [source.file for source in sources if source.file is not None]
    return Settings(pools, host, files, looked_in)


def _names(sources: Sequence[Source]) -> list[str]:
    """The names of the pools that there are, as they are written."""
    named = dict[str, None]()
    for source in reversed(sources):
        if not source.variables:
            named |= dict.fromkeys(source.pools)
    shared = merge(source.shared for source in sources)
    name = shared.entries.get("name")
    if named:
        if isinstance(name, Leaf):
            At("name", name.origin).refuse("pools have names of their own; leave it out")
        return [*named]
    if "adapter" not in shared.entries:
        return []
    return [name.value if isinstance(name, Leaf) else DEFAULT_POOL]


def _matched(source: Source, names: Sequence[str]) -> Source:
    """The environment, with the names of pools as they are written elsewhere."""
    written = {_as_in_variables(name): name for name in names}
    pools = dict[str, Table]()
    for name, tree in source.pools.items():
        if name not in written:
            listed = ", ".join(names) or "none"
            At("pools", next(leaf.origin for _, leaf in leaves(tree))).refuse(
                f'there is no pool "{name}" that could have it; there are: {listed}'
            )
        pools[written[name]] = tree
    return replace(source, pools=pools)


def _as_in_variables(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name.lower())


def _pool(sources: Sequence[Source], name: str) -> Table:
    layers = []
    for source in sources:
        layers += [source.pools[name], source.shared] if name in source.pools else [source.shared]
    said = merge(layers)
    tree = lay(said, _timeouts(said))
    return tree._replace(entries={k: v for k, v in tree.entries.items() if k != "name"})


def _timeouts(said: Table) -> Table:
    profile = said.entries.get(TIMEOUT_PROFILE)
    if not isinstance(profile, Leaf):
        return EMPTY
    origin = Origin("profile", profile=profile.value)
    return table({key: Leaf(it, origin) for key, it in PROFILES[profile.value].items()})
