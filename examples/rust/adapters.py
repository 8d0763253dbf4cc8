"""The Python side of the Rust examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snakepit_bridge import BaseAdapter, tool


class Words(BaseAdapter):
    """For ``plain.rs`` and the axum service."""

    def initialize(self) -> None:
        self.notes: dict[str | None, list[str]] = {}

    @tool
    def count(self, text: str) -> dict[str, Any]:
        words = text.split()
        return {"words": len(words), "longest": max(words, key=len, default="")}

    @tool
    def split(self, text: str) -> Iterator[str]:
        yield from text.split()

    @tool
    def remember(self, note: str) -> int:
        """Keep a note for the session that calls."""
        notes = self.notes.setdefault(self.session_context.session_id, [])
        notes.append(note)
        return len(notes)

    @tool
    def divide(self, a: float, b: float) -> float:
        return a / b


class Echo(BaseAdapter):
    """For ``throughput.rs``: as little work as possible."""

    @tool
    def echo(self, x: int) -> dict[str, int]:
        return {"x": x}

    @tool
    def count_up(self) -> Iterator[dict[str, int]]:
        x = 0
        while True:
            yield {"x": x}
            x += 1
