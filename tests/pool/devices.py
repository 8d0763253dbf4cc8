"""An adapter that tells which device it was given."""

from __future__ import annotations

import os
import time

from snakepit_bridge import BaseAdapter, tool


class Device(BaseAdapter):
    @tool
    def device(self) -> tuple[int, str | None]:
        # Long enough that calls which are made together meet all workers.
        time.sleep(0.01)
        return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")
