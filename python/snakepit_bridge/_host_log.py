"""Log records on their way to the host, as lines of standard error that it tells from others.

Standard error is read at all times, also while a tool holds the worker's line, so a record needs no
other way. A line is ``MARK {"level": 30, …}``: the mark is this worker's own and told by the host,
so that nothing else looks like a record by chance.
"""

from __future__ import annotations

import logging
import os

from ._context import current, trace_id
from .telemetry import get_correlation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "SNAKEPIT_LOG_RECORDS"
"""``LEVEL MARK``, where the host wants records."""

MAX_TEXT = 12 * 1024
"""Characters of a message that travel, its traceback included: a line has 64 KiB."""


class HostHandler(logging.Handler):
    """Writes each record as one line with the mark in front."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.name = "snakepit_host"
        self.mark = mark
        # Its own: an adapter may send standard error elsewhere, or close it.
        self._out = os.dup(2)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(_described(record, self._traceback(record)))
        except Exception:
            self.handleError(record)

    def _traceback(self, record: logging.LogRecord) -> str:
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        parts = [record.exc_text]
        if record.stack_info:
            parts.append(_FORMATTER.formatStack(record.stack_info))
        return "\n".join(filter(None, parts))

    def _write(self, told: dict[str, Any]) -> None:
        # Here, not above: a worker that logs nothing needs none.
        import json

        # A line break in the end only: whatever a message has, it is one line.
        text = f"{self.mark}{json.dumps(told, ensure_ascii=False)}\n"
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        while left:
            left = left[os.write(self._out, left) :]


_FORMATTER = logging.Formatter()


def _described(record: logging.LogRecord, traceback: str) -> dict[str, Any]:
    message = record.getMessage()
    told = {
        "level": record.levelno,
        "logger": record.name,
        "message": _cut(f"{message}\n{_tail(traceback)}" if traceback else message),
        "time": record.created,
        "thread": record.threadName,
        "path": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "correlation_id": get_correlation_id(),
        "trace_id": trace_id.get(),
    }
    call = current.get()
    if call is not None:
        told["call"], told["session"] = call.id, call.session_id
        if told["trace_id"] is None and call.trace is not None:
            told["trace_id"] = call.trace[0][3:35]
    return {key: value for key, value in told.items() if value is not None}


def _cut(text: str) -> str:
    surplus = len(text) - MAX_TEXT
    return text if surplus <= 0 else f"{text[:MAX_TEXT]}… ({surplus} characters more)"


def _tail(text: str) -> str:
    # Of a traceback the end says what happened.
    return text if len(text) <= MAX_TEXT // 2 else "… " + text[-MAX_TEXT // 2 :]


def install() -> None:
    """Hand what the root logger gets to the host, if that asks for it."""
    asked = os.environ.pop(VARIABLE, None)
    if asked is None:
        return
    level, _, mark = asked.partition(" ")
    root = logging.getLogger()
    root.addHandler(HostHandler(mark))
    root.setLevel(int(level))
