"""Logging for adapters: a worker's standard error, with level and correlation id.

Nothing is configured unless ``configure_logging`` is called: an adapter that has its own ideas
about logging keeps them.
"""

from __future__ import annotations

import logging
import os
import sys

from .telemetry import correlation_filter

__all__ = ["configure_logging", "get_logger"]

_VARIABLE = "SNAKEPIT_LOG_LEVEL"
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "none": logging.CRITICAL + 1,
}
_QUIET = ("grpc", "urllib3")
"""Libraries that are told about at warnings only."""

_FORMAT = (
    "%(asctime)s - [%(threadName)s] - %(name)s - %(levelname)s "
    "- [corr=%(correlation_id)s] %(message)s"
)


def configure_logging(force: bool = False) -> None:
    """Send log records to standard error, at the level that ``SNAKEPIT_LOG_LEVEL`` names.

    The variable is ``debug``, ``info``, ``warning``, ``error`` or ``none``, in any case; missing or
    unknown: ``error``. Each line shows the correlation id of ``telemetry``, or ``-``. ``grpc`` and
    ``urllib3`` stay quiet below warnings.

    Where the host logs what its workers say (``worker_output="log"``), records go to it as they
    are, and this sets the level alone.

    Args:
        force: Replace handlers that the root logger has. Default: it is left alone if it has any.
    """
    word = os.environ.get(_VARIABLE, "error").lower()
    level = _LEVELS.get(word, logging.ERROR)
    logging.disable(logging.CRITICAL if word == "none" else logging.NOTSET)
    root = logging.getLogger()
    if not force and any(handler.name == "snakepit_host" for handler in root.handlers):
        root.setLevel(level)
    elif force or not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        # On the handler: a logger's filters do not see what its children hand up to it.
        handler.addFilter(correlation_filter())
        logging.basicConfig(level=level, format=_FORMAT, handlers=[handler], force=force)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> logging.Logger:
    """The logger of ``name`` below ``snakepit``.

    ``snakepit.…`` stays what it is, ``snakepit_bridge.x`` becomes ``snakepit.bridge.x``, anything
    else ``snakepit.<name>``.
    """
    if name.startswith("snakepit."):
        return logging.getLogger(name)
    if name.startswith("snakepit_bridge."):
        return logging.getLogger("snakepit.bridge." + name.removeprefix("snakepit_bridge."))
    return logging.getLogger(f"snakepit.{name}")
