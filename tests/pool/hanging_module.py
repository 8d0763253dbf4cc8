"""A module whose import takes as long as the test wants; see ``starting_adapters``."""

from __future__ import annotations

import os

from pool.starting_adapters import Waits, hang, seize

if os.environ["HANGS_IN_IMPORT"] == "C":
    seize()
else:
    hang()

__all__ = ["Waits"]
