"""Every value that counts, and where it comes from: what ``snakepit config --explain`` shows."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from snakepit._duration import UNSET
from snakepit._settings._keys import HOST, POOL, TIMEOUT_PROFILE, Group
from snakepit._settings._layers import Leaf, leaves
from snakepit._settings._origin import DEFAULT, Origin
from snakepit._settings._resolve import PoolSettings, Settings

_SECRET = re.compile(r"secret|token|passw|passphrase|credential|private|api_?key|_key$|^key$", re.I)
_HIDDEN = "…"


class Row(NamedTuple):
    """One value."""

    pool: str | None
    """Name of the pool; ``None``: it is the host's."""
    key: str
    """Like ``"size"`` or ``"heartbeat.interval"``."""
    value: Any
    """Plain: numbers, texts, ``None``, lists, dicts. What looks like a secret is left out."""
    origin: Origin

    def as_json(self) -> dict[str, Any]:
        """What a program reads."""
        return {
            "pool": self.pool,
            "key": self.key,
            "value": self.value,
            "source": str(self.origin),
            **self.origin._asdict(),
        }


_HOST_DEFAULTS = {
    "pooling_enabled": True,
    "metrics_port": None,
    "log_level": None,
    "log_categories": None,
}


def explain(settings: Settings, pool: str | None = None) -> list[Row]:
    """Return every value of the host and of its pools, set or default, with its origin.

    Args:
        settings: From ``snakepit.settings()``.
        pool: Only what this pool has; default: all.

    Raises:
        ConfigError: There is no such pool.
    """
    rows = []
    if pool is None:
        for key in HOST:
            entry = settings.host.entries.get(key)
            value, origin = (
                (entry.value, entry.origin)
                if isinstance(entry, Leaf)
                else (_HOST_DEFAULTS[key], DEFAULT)
            )
            rows.append(Row(None, key, value, origin))
    chosen = [*settings.pools.values()] if pool is None else [settings.pool(pool)]
    for each in chosen:
        rows += _of_pool(each)
    return rows


def _of_pool(pool: PoolSettings) -> Iterator[Row]:
    said = {".".join(path): leaf for path, leaf in leaves(pool.tree)}
    if (profile := said.get(TIMEOUT_PROFILE)) is not None:
        yield Row(pool.name, TIMEOUT_PROFILE, profile.value, profile.origin)
    parameters = _parameters()
    for key, kind in POOL.items():
        if key == "name":
            continue
        default: Any = 1 if key == "size" else parameters[key].default
        if default is inspect.Parameter.empty:
            default = None
        spoken = any(path.startswith(f"{key}.") for path in said)
        if key in said:
            rows: dict[str, Any] = {key: None}
        elif isinstance(kind, Group) and (spoken or default is UNSET):
            within = _within(key)
            rows = {f"{key}.{name}": within.get(name) for name in kind.keys}
        else:
            rows = {key: default}
        for name, usual in rows.items():
            leaf = said.get(name, Leaf(usual, DEFAULT))
            yield Row(pool.name, name, _shown(leaf.value), leaf.origin)


def _parameters() -> Mapping[str, inspect.Parameter]:
    from snakepit._base import PoolBase

    return inspect.signature(PoolBase.__init__).parameters


def _within(group: str) -> Mapping[str, Any]:
    """The defaults of the keys of a table: those of the class that it becomes."""
    import snakepit

    kinds: Mapping[str, type] = {
        "heartbeat": snakepit.Heartbeat,
        "recycle": snakepit.Recycle,
        "limits": snakepit.Limits,
        "retry": snakepit.RetryPolicy,
        "circuit_breaker": snakepit.CircuitBreaker,
        "worker_breaker": snakepit.WorkerBreaker,
        "crash_barrier": snakepit.CrashBarrier,
        "unserializable": snakepit.Unserializable,
        "shared_memory": snakepit.SharedMemory,
        "telemetry": snakepit.TelemetryFilter,
    }
    parameters = inspect.signature(kinds[group]).parameters.values()
    return {it.name: it.default for it in parameters}


def _shown(value: Any) -> Any:
    """A value as JSON can have it, without secrets."""
    if isinstance(value, Mapping):
        return {
            str(name): _HIDDEN if _SECRET.search(str(name)) and each else _shown(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _shown(dataclasses.asdict(value))
    return f"{value.__module__}:{value.__qualname__}" if isinstance(value, type) else repr(value)
