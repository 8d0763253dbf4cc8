"""The named sets of timeouts: those of the original Snakepit, as far as there are such limits here.

There a call also had a limit for its wait in the queue (10, 5, 60 and 300 s). Here one deadline
covers waiting and running, and how much may wait is ``max_queue``; so the sets have no such limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BALANCED = {"timeout": 300.0, "stream_timeout": 900.0}
_PATIENT = {"timeout": 900.0, "stream_timeout": 3600.0}

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "balanced": _BALANCED,
    "production": _BALANCED,
    "production_strict": {"timeout": 60.0, "stream_timeout": 300.0},
    "development": _PATIENT,
    "ml_inference": _PATIENT,
    "batch": {"timeout": 3600.0, "stream_timeout": None},
}
"""Seconds; ``None``: no limit."""
