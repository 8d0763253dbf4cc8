"""Traces: the spans of calls, of what came before them and of what ran inside of them.

.. code-block:: text

    face ── begins a call's span ──▶ registry ◀── what core and workers tell ── SpanQueue
               │ traceparent            │  makes spans of it, ends them
               ▼                        ▼
             engine                OpenTelemetry: whatever exporter the program has set up

Only ``_otel`` knows OpenTelemetry, of which the API is enough. One registry a process, made with
the first pool that is traced; a child of a fork makes its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from snakepit import _nesting
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit._tracing._tracing import Tracing

_making = threading.Lock()


def read(value: object) -> Tracing | None:
    """What traces the calls of a pool; ``None``: nothing does.

    Raises:
        ConfigError: ``value`` is neither a flag nor ``{"enabled": …}``; no OpenTelemetry is here.
    """
    if isinstance(value, Mapping) and not value.keys() - {"enabled"}:
        value = value.get("enabled", True)
    if not isinstance(value, bool):
        raise ConfigError(
            f'opentelemetry: True, False or {{"enabled": True}} is needed, not {value!r:.80}',
            field="opentelemetry",
        )
    return _of_this_process() if value else None


def _of_this_process() -> Tracing:
    try:
        from snakepit._tracing._tracing import Tracing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise ConfigError(
            "opentelemetry: its API is not installed here: pip install 'snakepit-pool[otel]'",
            field="opentelemetry",
            suggestion="pip install 'snakepit-pool[otel]'",
        ) from None
    with _making:
        if _nesting.tracing is None:
            _nesting.tracing = Tracing()
            _nesting.seen = True
        return _nesting.tracing


def _in_child() -> None:
    # Its thread does not exist here, and whoever held a lock may not either.
    global _making
    _making = threading.Lock()
    tracing, _nesting.tracing = _nesting.tracing, None
    if tracing is not None:
        tracing.be_a_child()


os.register_at_fork(after_in_child=_in_child)
