"""Events of an adapter: what it measured, by name, with the call's correlation id.

.. code-block:: text

    emit, span ──▶ event ──┬─▶ subscribers, at once, in the emitting thread
                           ├─▶ logger "snakepit_bridge.telemetry", at DEBUG
                           ├─▶ buffer: the latest 1024, until somebody drains it
                           └─▶ the host, as ``snakepit.python.<name>``, if somebody listens there

They are with the host within a fraction of a second, and before the answer of the call in which
they were emitted. Whoever carries them elsewhere connects a ``Sink``, which is woken when events
wait and takes them with ``drain``.

Emitting never waits and never raises because of who listens. It raises ``TypeError`` where the
event itself is malformed, since only the author of the call can mend that.
"""

from __future__ import annotations

from ._correlation import (
    CORRELATION_HEADER,
    correlation_filter,
    get_correlation_id,
    new_correlation_id,
    outgoing_metadata,
    reset_correlation_id,
    set_correlation_id,
)
from ._event import Event
from ._hub import (
    Backend,
    Sink,
    connect,
    drain,
    dropped,
    emit,
    get_backend,
    is_enabled,
    set_backend,
    subscribe,
)
from ._span import Span, span

__all__ = [
    "CORRELATION_HEADER",
    "Backend",
    "Event",
    "Sink",
    "Span",
    "connect",
    "correlation_filter",
    "drain",
    "dropped",
    "emit",
    "get_backend",
    "get_correlation_id",
    "is_enabled",
    "new_correlation_id",
    "outgoing_metadata",
    "reset_correlation_id",
    "set_backend",
    "set_correlation_id",
    "span",
    "subscribe",
]
