"""From inside which call of a host tool does this code run?

Kept apart from what runs host tools, since every call of every pool looks here, and a program that
has none pays for one look at a flag.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit._engine import NativeHostCall

seen = False
"""A host tool was registered in this process."""

running: ContextVar[NativeHostCall | None] = ContextVar("snakepit_host_call", default=None)
"""The call of a host tool that runs in this thread or task."""
