"""Which events the host wants. A decision: no clock, no randomness, no line."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from zlib import crc32

_WHOLE = 1 << 32


@dataclass(frozen=True, slots=True)
class Filter:
    """What the host has said last."""

    enabled: bool = False
    """Somebody listens."""
    sampling: float = 1.0
    """The part that is sent of what the patterns let through, from 0 to 1."""
    allow: tuple[str, ...] = ()
    """Globs of which one must match; none: every name is let through."""
    deny: tuple[str, ...] = ()
    """Globs of which none may match."""

    def admits(self, name: str, draw: float) -> bool:
        """Whether an event is sent. ``draw`` is from 0 up to, but without, 1."""
        if not self.enabled or draw >= self.sampling:
            return False
        if self.allow and not any(fnmatchcase(name, pattern) for pattern in self.allow):
            return False
        return not any(fnmatchcase(name, pattern) for pattern in self.deny)


def draw_of(correlation_id: str) -> float:
    """The draw of all events with that id: they are sent together, or none of them is."""
    return crc32(correlation_id.encode("utf-8", "replace")) / _WHOLE
