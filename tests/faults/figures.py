"""What a fault is measured by: figures, each beside the most or the least that it may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    promise: Literal["always", "quiet"] = "always"
    """``quiet``: a time, which a machine that is busy with other things may miss by far."""

    def holds(self, slack: float = 1.0) -> bool:
        """Whether the value is within its bounds; times may be ``slack`` times as long."""
        factor = slack if self.promise == "quiet" else 1.0
        if math.isnan(self.value):
            return False
        above = self.most is not None and self.value > self.most * factor
        below = self.least is not None and self.value < self.least / factor
        return not (above or below)

    def target(self) -> str:
        """The bounds, as text."""
        if self.most is not None and self.most == self.least:
            return number(self.most)
        bounds = [(sign, bound) for sign, bound in (("≤", self.most), ("≥", self.least))]
        return ", ".join(f"{sign} {number(bound)}" for sign, bound in bounds if bound is not None)


def exactly(what: str, value: float, expected: float, unit: str = "") -> Figure:
    """A count that has one right value."""
    return Figure(what, value, unit, most=expected, least=expected)


def none(what: str, value: float) -> Figure:
    """Something that may not happen."""
    return exactly(what, value, 0)


def shown(what: str, value: float, unit: str = "") -> Figure:
    """A value without a promise: how much was done."""
    return Figure(what, value, unit)


def spread(what: str, values: Sequence[float], most: float, unit: str) -> Iterator[Figure]:
    """Median and worst of some times, and what 99 of 100 stay below, which is what is promised."""
    yield Figure(f"{what}, p50", percentile(values, 50), unit)
    yield Figure(f"{what}, p99", percentile(values, 99), unit, most=most, promise="quiet")
    yield Figure(f"{what}, max", percentile(values, 100), unit)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many of a hundred do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def number(value: float) -> str:
    """As a person writes it: three digits that matter, and no digits behind large numbers."""
    if math.isnan(value):
        return "not measured"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
