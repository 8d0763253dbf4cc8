"""The checks themselves, in the order in which they run: a later one builds on an earlier one."""

from . import handshake, calls, limits, streams, cancels, control, words, segments  # noqa: I001, F401
from . import values, capacity, telemetry, spans, ends  # noqa: F401
