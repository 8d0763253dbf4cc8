"""From inside which call of a host tool does this code run? Who traces calls?

Kept apart from what runs host tools and what traces, since every call of every pool looks here, and
a program that has neither pays for one look at a flag.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit._engine import NativeHostCall
    from snakepit._tracing._tracing import Tracing

seen = False
"""A host tool was registered in this process, or a pool is traced."""

tracing: Tracing | None = None
"""What traces the calls of this process; made with the first pool that is traced."""

running: ContextVar[NativeHostCall | None] = ContextVar("snakepit_host_call", default=None)
"""The call of a host tool that runs in this thread or task."""
