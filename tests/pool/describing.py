"""Adapters that tell what their tools take, and some that cannot be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from snakepit_bridge import BaseAdapter, tool


@dataclass
class User:
    name: str
    age: int = 0


class Described(BaseAdapter):
    @tool(description="Adds two numbers")
    def add(self, a: int, b: int = 0) -> int:
        return a + b

    @tool
    def greet(
        self, user: User, mode: Literal["warm", "cold"] = "warm", note: str | None = None
    ) -> str:
        """Greets somebody.

        Args:
            user: Whom.
            mode: How.
        """
        return f"{mode} {user['name']}"  # type: ignore[index]  # it arrives as a dict

    @tool
    def mean(self, values: np.ndarray, weight: Annotated[float, "of all"] = 1.0) -> float:
        return float(np.mean(values)) * weight

    @tool
    def shape(self, values: list[float]) -> list[int]:
        return list(np.shape(values))

    @tool
    def size(self, data: bytes) -> int:
        return len(data)

    @tool
    async def anything(self, **keywords: Any) -> list[str]:
        return sorted(keywords)

    @tool
    def count(self, upto: int) -> Iterator[int]:
        yield from range(upto)


class Unreachable(BaseAdapter):
    @tool
    def divide(self, a: int, /, b: int) -> float:
        return a / b


class BadName(BaseAdapter):
    @tool(name="two words")
    def fine(self) -> None: ...


class Twice(BaseAdapter):
    @tool(name="same")
    def one(self) -> None: ...

    @tool(name="same")
    def two(self) -> None: ...


class Verbose(BaseAdapter):
    @tool(description="x" * 200_000)
    def fine(self) -> None: ...


class Slow(BaseAdapter):
    def initialize(self) -> None:
        import time

        time.sleep(60)

    @tool
    def fine(self, a: int) -> None: ...


class Unmarked(BaseAdapter):
    @tool
    def fine(self) -> str:
        return "fine"

    def forgotten(self) -> str:
        return "no tool"
