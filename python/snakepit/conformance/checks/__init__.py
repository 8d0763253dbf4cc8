"""The checks themselves, in the order in which they run: a later one builds on an earlier one."""

from . import handshake, calls, limits, streams, cancels, control  # noqa: I001, F401
from . import words, values, capacity, telemetry, ends  # noqa: F401
