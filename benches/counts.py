"""Instruction counts: read from gungraun's output, kept as JSON, compared.

Not here: how they come about, see `instructions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


class NotComparableError(Exception):
    """Two counts that say nothing about each other, and why."""


@dataclass(frozen=True)
class Counts:
    """Instructions by ``group::function.id``, and what they were counted with.

    Another compiler makes other instructions of the same source, another valgrind or C library may
    count others: such counts are not compared. Nor is nothing, which has over no limit.

    Raises:
        NotComparableError: Nothing was counted.
    """

    rustc: str
    valgrind: str
    instructions: dict[str, int]

    def __post_init__(self) -> None:
        if not self.instructions:
            raise NotComparableError(
                "nothing was counted: the output has no line of JSON; does the benchmark run, and "
                "is its runner gungraun's own version?"
            )

    @classmethod
    def read(cls, output: str, *, rustc: str, valgrind: str) -> Self:
        """Read what the benchmark printed under ``--output-format=json``: one object a line."""
        summaries = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
        found = dict(name_and_count(summary) for summary in summaries)
        return cls(rustc, valgrind, found)

    @classmethod
    def load(cls, file: Path) -> Self:
        return cls(**json.loads(file.read_text()))

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


def name_and_count(summary: dict[str, Any]) -> tuple[str, int]:
    _, _, name = summary["module_path"].partition("::")
    if "id" in summary:
        name = f"{name}.{summary['id']}"
    callgrind = next(one for one in summary["profiles"] if one["tool"] == "Callgrind")
    values = callgrind["data"]["total"]["metrics"]["Ir"]["values"]
    return name, int(values["new"])


@dataclass(frozen=True)
class Change:
    """One benchmark; ``base`` or ``head`` is None where only the other has it."""

    name: str
    base: int | None
    head: int | None

    @property
    def percent(self) -> float | None:
        if self.base is None or self.head is None:
            return None
        return (self.head - self.base) / self.base * 100

    def exceeds(self, limit: float) -> bool:
        return self.percent is not None and self.percent > limit


def changes(base: Counts, head: Counts) -> list[Change]:
    """Every benchmark of either, in the order of the newer.

    Raises:
        NotComparableError: They were counted with different tools.
    """
    for tool in ("rustc", "valgrind"):
        theirs, ours = getattr(base, tool), getattr(head, tool)
        if theirs != ours:
            raise NotComparableError(
                f"the base was counted with {theirs}, this with {ours}; count both with one {tool}"
            )
    names = [*head.instructions, *(set(base.instructions) - set(head.instructions))]
    return [Change(one, base.instructions.get(one), head.instructions.get(one)) for one in names]


def table(found: list[Change], limit: float) -> Iterator[str]:
    yield f"{'instructions':<44}{'base':>14}{'head':>14}{'change':>10}"
    for change in found:
        base = "new" if change.base is None else f"{change.base:,}"
        head = "gone" if change.head is None else f"{change.head:,}"
        percent = "" if change.percent is None else f"{change.percent:+.2f} %"
        mark = "  MORE" if change.exceeds(limit) else ""
        yield f"{change.name:<44}{base:>14}{head:>14}{percent:>10}{mark}"
