"""What the tests of `snakepit run` call."""

from __future__ import annotations

import datetime
import decimal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snakepit_bridge import BaseAdapter, tool


class Basic(BaseAdapter):
    def __init__(self, greeting: str = "hello") -> None:
        super().__init__()
        self.greeting = greeting

    @tool
    def add(self, a: int, b: int = 1) -> int:
        print("adding")
        return a + b

    @tool
    def greet(self) -> str:
        return f"{self.greeting}, {self.session_context.session_id}"

    @tool
    def count(self, stop: int) -> Iterator[dict[str, int]]:
        for i in range(stop):
            yield {"i": i}

    @tool
    def odd(self) -> dict[Any, Any]:
        return {
            "day": datetime.date(2020, 2, 29),
            "bytes": b"\x00\xff",
            "nan": float("nan"),
            "array": np.arange(4).reshape(2, 2),
            "scalar": np.float32(1.5),
            "decimal": decimal.Decimal("1.10"),
            3: None,
        }

    @tool
    def fail(self) -> None:
        raise ValueError("no such luck")

    @tool
    def hold(self, started: str) -> None:
        Path(started).touch()
        time.sleep(600)
