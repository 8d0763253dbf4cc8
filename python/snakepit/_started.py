"""The pools of the module itself: ``snakepit.start()``, and what it started.

For programs that are configured by file or environment and call pools from everywhere: by the
functions of ``_functions``. One set of pools a process; a child of a fork has none of it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from snakepit import _core
from snakepit._duration import UNSET, limit
from snakepit._pool import Pool
from snakepit._settings import Settings, chosen
from snakepit._settings import settings as read_settings
from snakepit.errors import ConfigError, NotStarted

if TYPE_CHECKING:
    from os import PathLike

    from snakepit._duration import Duration, Unset
    from snakepit._metrics_server import MetricsServer


class _Started(NamedTuple):
    settings: Settings
    pools: dict[str, Pool]
    levels: dict[str, int]
    """What loggers had before."""
    metrics: MetricsServer | None
    owner: int


_changing = threading.Lock()
_started: _Started | None = None


def _in_child() -> None:
    # Whoever held it in the parent does not exist here.
    global _changing
    _changing = threading.Lock()


os.register_at_fork(after_in_child=_in_child)


def start(
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    path: str | PathLike[str] | None = None,
    **code: Any,
) -> None:
    """Start the pools that are configured, for the functions of this module.

    Returns at once: workers start in the background, and calls wait for them. Started already with
    the same settings: does nothing. Any thread may call it.

    Args:
        settings: What to start, from ``snakepit.settings()``. Or a mapping of keys, which count
            more than variables and files. Default: what variables and files say.
        path: The file, instead of those that are found upwards from the working directory.
        **code: More such keys.

    Raises:
        ConfigError: The settings are wrong (``error.source`` tells where), there are none, or
            others than those that are started.
        AdapterSourceError: No worker could find an adapter's class.
        StartError: An interpreter does not exist.

    Example:
        >>> snakepit.start({"pools": {"default": {"adapter": "my_app:Model", "size": 4}}})
        >>> snakepit.execute("ping")
    """
    begin(settings, path, code)


def begin(
    settings: Settings | Mapping[str, Any] | None,
    path: str | PathLike[str] | None,
    code: Mapping[str, Any],
) -> bool:
    """What ``start`` does; tells whether there was something to start."""
    global _started
    if isinstance(settings, Settings):
        if path is not None or code:
            raise ConfigError("settings: are complete; give path and keys to snakepit.settings()")
        wanted = settings
    else:
        wanted = read_settings(path, **{**(settings or {}), **code})
    with _changing:
        if (now := _of_this_process()) is not None:
            if not now.settings.same(wanted):
                raise ConfigError(
                    "snakepit is started with other settings; call snakepit.stop() first"
                )
            return False
        # First, since pools look at the levels.
        levels = _say(wanted)
        metrics = None
        try:
            metrics = _serve(wanted)
            pools = _open(wanted)
        except BaseException:
            _undo(levels, metrics)
            raise
        _started = _Started(wanted, pools, levels, metrics, os.getpid())
    return True


def stop(*, drain: Duration | Unset = UNSET) -> None:
    """Close the pools that ``start()`` started; at the end none of their workers is left.

    Not started, or being stopped: does nothing. Any thread may call it.

    Args:
        drain: As in ``Pool.close``; all pools are closed at the same time.
    """
    global _started
    with _changing:
        now, _started = _of_this_process(), None
    if now is None:
        return
    try:
        _close([*now.pools.values()], drain)
    finally:
        _undo(now.levels, now.metrics)


def is_started() -> bool:
    """Whether there are pools that ``start()`` has started."""
    return _of_this_process() is not None


def get_pool(name: str | None = None) -> Pool:
    """Return a pool that ``start()`` started, for all that has no function here.

    Args:
        name: Which one. Default: the one of the name ``default``, or the only one.

    Raises:
        NotStarted: ``start()`` has not been called.
        ConfigError: There is no such pool, or it is not clear which is meant.
    """
    now = _started
    if now is None:
        raise NotStarted(
            "snakepit is not started: call snakepit.start() first, or make a snakepit.Pool"
        )
    if name in now.pools:
        return now.pools[name]
    if not now.pools:
        raise NotStarted("snakepit is started without pools: pooling_enabled is false")
    return now.pools[chosen(name, now.pools, str)]


def some(name: str | None) -> list[Pool]:
    """Return the pool of that name; ``None``: all of them."""
    now = _started
    if name is not None or now is None:
        return [get_pool(name)]
    return [*now.pools.values()]


def _of_this_process() -> _Started | None:
    if _started is None or _started.owner != os.getpid():
        return None
    return _started


def metrics_server() -> MetricsServer | None:
    """Return the server that ``start()`` started for ``metrics_port``, or ``None``."""
    now = _of_this_process()
    return None if now is None else now.metrics


def _serve(settings: Settings) -> MetricsServer | None:
    port = settings.value("metrics_port")
    if port is None:
        return None
    from snakepit._metrics_server import serve_metrics

    return serve_metrics(port)


def _undo(levels: Mapping[str, int], metrics: MetricsServer | None) -> None:
    if levels:
        # The ends of workers are told on another thread.
        _core.deliver_logs()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    if metrics is not None:
        metrics.close()


def _open(settings: Settings) -> dict[str, Pool]:
    if settings.value("pooling_enabled") is False:
        return {}
    if not settings.pools:
        settings.pool()  # Raises, and says where was looked.
    pools = dict[str, Pool]()
    try:
        for name, each in settings.pools.items():
            pools[name] = each.make(Pool)
    except BaseException:
        _close([*pools.values()], 0.0)
        raise
    return pools


def _close(pools: list[Pool], drain: Duration | Unset) -> None:
    limits = [pool._drain_timeout if drain is UNSET else limit("drain", drain) for pool in pools]
    # All at the same time; what then waits for each finds it closed, or closing.
    for pool, limited in list(zip(pools, limits, strict=True))[1:]:
        threading.Thread(target=pool._engine.close, args=(limited,), daemon=True).start()
    try:
        for pool in pools:
            pool.close(drain=drain)
    except BaseException:
        for pool in pools:
            pool._engine.kill()
        raise


def _say(settings: Settings) -> dict[str, int]:
    """Set the levels of the loggers, and return those that they had."""
    wanted = settings.value("log_level")
    if wanted is None:
        return {}
    # Above CRITICAL there is nothing.
    level = logging.CRITICAL + 1 if wanted == "none" else getattr(logging, wanted.upper())
    levels = {"snakepit": level}
    if (categories := settings.value("log_categories")) is not None:
        levels = {f"snakepit.{category}": level for category in categories}
        levels["snakepit"] = max(level, logging.ERROR)
    before = {name: logging.getLogger(name).level for name in levels}
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)
    return before
