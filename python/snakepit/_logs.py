"""From workers and from the core to Python's ``logging``: the loggers below ``snakepit``.

Nothing here sets a level or adds a handler; ``snakepit.start()`` sets levels where it is told to.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from snakepit import _core

if TYPE_CHECKING:
    from collections.abc import Sequence

CATEGORIES = (
    "lifecycle",
    "pool",
    "grpc",
    "bridge",
    "worker",
    "startup",
    "shutdown",
    "telemetry",
    "general",
)
"""As the original has them: each is a logger below ``snakepit``."""

_ALL = logging.getLogger("snakepit")
_WORKER = logging.getLogger("snakepit.worker")
_CATEGORIES = {name: logging.getLogger(f"snakepit.{name}") for name in CATEGORIES}
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def listen() -> None:
    """Have the core tell what somebody hears now; asked again for each pool."""
    least = min(_heard(logger) for logger in _CATEGORIES.values())
    wanted = next((word for word, level in _LEVELS.items() if level >= least), "none")
    _core.log_to(log_core, wanted)


def wanted_of_workers() -> int:
    """The least level that the logger of workers hears."""
    return min(max(_WORKER.getEffectiveLevel(), 1), 10_000)


def _heard(logger: logging.Logger) -> int:
    """The least level of ``logger`` that somebody hears. A program that has not set logging up is
    told of errors alone: without a handler, ``logging`` would print warnings too."""
    level = logger.getEffectiveLevel()
    is_set_up = logger.level or _ALL.level or logger.hasHandlers()
    return level if is_set_up else max(level, logging.ERROR)


def log_core(lines: Sequence[tuple[str, str, str, None]]) -> None:
    """Log what the core tells: category, level, text."""
    for category, word, text, _ in lines:
        logger = _CATEGORIES.get(category, _CATEGORIES["general"])
        level = _LEVELS.get(word, logging.WARNING)
        if level >= _heard(logger):
            logger.log(level, "%s", text)


def log_lines(lines: Sequence[_core._LogLine]) -> None:
    """Log what workers printed and their adapters logged."""
    for worker, stream, text, record in lines:
        if record is None:
            level = logging.WARNING if stream == "stderr" else logging.INFO
            if _WORKER.isEnabledFor(level):
                _WORKER.log(level, "[%s] %s", worker, text, extra=_attributes(worker, stream))
        elif _WORKER.isEnabledFor(record[0]):
            _WORKER.handle(_record(worker, text, record))


def _record(worker: str, text: str, told: _core._LogRecord) -> logging.LogRecord:
    level, name, created, thread, path, line, function, call, session, correlation, trace = told
    # By hand, for a name that is of no logger here: those are kept for ever.
    record = _WORKER.makeRecord(
        f"{_WORKER.name}.{name}",
        level,
        path,
        line,
        "[%s] %s",
        (worker, text),
        None,
        function,
        _attributes(worker, "stderr", name, call, session, correlation, trace),
    )
    record.created, record.msecs = created, created % 1 * 1000
    record.threadName = thread
    return record


def _attributes(
    worker: str,
    stream: str,
    logger: str | None = None,
    call: int | None = None,
    session: str | None = None,
    correlation_id: str | None = None,
    trace_id: str | None = None,
) -> dict[str, object]:
    return {
        "worker": worker,
        "stream": stream,
        "snakepit_worker": worker,
        "snakepit_logger": logger,
        "snakepit_call": call,
        "snakepit_session": session,
        "snakepit_correlation_id": correlation_id,
        "snakepit_trace_id": trace_id,
    }
