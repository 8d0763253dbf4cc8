"""The budgets, and whether a run met them.

A machine drifts by a third and more, so most budgets are ratios between two figures of the same
pass. Each verdict is the median over the passes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Pass = dict[str, dict[str, float]]
"""Figures by ``"contender/workload"``."""


@dataclass(frozen=True)
class Budget:
    """A figure of ours, as a multiple of a rival's where one is named, its limit and our aim."""

    what: str
    unit: str
    ours: str
    key: str
    limit: float
    at_most: bool
    rival: str | None = None
    aim: float | None = None

    def text(self) -> str:
        unit = self.unit if self.rival is None else f"× {self.rival.split('/')[0]}"
        aim = "" if self.aim is None else f" (aim {self.aim:g})"
        return f"{'≤' if self.at_most else '≥'} {self.limit:g} {unit}".rstrip() + aim


@dataclass(frozen=True)
class Verdict:
    """One line of the table. ``measured`` is what the budget limits: a ratio or a figure."""

    budget: Budget
    ours: float
    rival: float | None
    measured: float

    @property
    def met(self) -> bool:
        if self.budget.at_most:
            return self.measured <= self.budget.limit
        return self.measured >= self.budget.limit


BUDGETS = [
    Budget("no-op call, p50", "µs", "snakepit/noop", "p50", 2.0, True, "pipe/noop", 1.2),
    Budget("no-op call, p50", "µs", "snakepit/noop", "p50", 0.3, True, "executor/noop"),
    Budget("64 in flight, futures", "calls/s", "snakepit/flight", "calls_s", 10, False,
           "executor/flight", 25),
    Budget("64 in flight, asyncio", "calls/s", "snakepit asyncio/flight", "calls_s", 5, False,
           "executor/flight"),
    Budget("64 in flight, Rust host", "calls/s", "snakepit rust/flight", "calls_s", 20, False,
           "executor/flight", 40),
    Budget("host CPU a call, 64 in flight", "µs", "snakepit/flight", "host_cpu", 15, True),
    Budget("host CPU a call, 64 in flight, Rust host", "µs", "snakepit rust/flight", "host_cpu",
           5, True),
    Budget("stream of small items", "items/s", "snakepit/stream", "items_s", 1.0, False,
           "pipe/stream"),
    Budget("stream of small items, Rust host", "items/s", "snakepit rust/stream", "items_s", 2.0,
           False, "pipe/stream"),
    Budget("dispatch, worst of 1, 8, 64 workers", "µs", "snakepit rust/dispatch", "worst", 2, True),
    Budget("dispatch, 64 workers as a multiple of 1", "", "snakepit rust/dispatch", "growth", 1.5,
           True),
    Budget("start of 2 workers", "ms", "snakepit/start 2", "ms", 1.0, True, "executor/start 2"),
    Budget("start of 8 workers", "ms", "snakepit/start 8", "ms", 1.0, True, "executor/start 8"),
    Budget("idle worker and shim, PSS", "MiB", "snakepit/idle", "worker", 16, True),
    Budget("worker killed: its caller told", "ms", "snakepit/death", "error_ms", 100, True),
    Budget("worker killed: next call", "ms", "snakepit/death", "next_ms", 5, True),
    Budget("worker killed: bystanders harmed", "", "snakepit/death", "harmed", 0, True),
]  # fmt: skip

TAIL = Budget("no-op call, p99, beside its limit", "µs", "snakepit/noop", "p99", 1.0, True)


def verdicts(passes: list[Pass]) -> list[Verdict]:
    """One verdict for each budget that this run can judge."""
    found = [verdict for budget in BUDGETS if (verdict := judge(budget, passes))]
    tail = judge_tail(passes)
    return found[:2] + ([tail] if tail else []) + found[2:]


def judge(budget: Budget, passes: list[Pass]) -> Verdict | None:
    cells = [budget.ours] + ([budget.rival] if budget.rival else [])
    whole = [one for one in passes if all(cell in one for cell in cells)]
    if not whole:
        return None
    ours = median(whole, lambda one: one[budget.ours][budget.key])
    if budget.rival is None:
        return Verdict(budget, ours, None, ours)
    rival = budget.rival
    return Verdict(
        budget,
        ours,
        median(whole, lambda one: one[rival][budget.key]),
        median(whole, lambda one: one[budget.ours][budget.key] / one[rival][budget.key]),
    )


def judge_tail(passes: list[Pass]) -> Verdict | None:
    """p99 against the larger of three times our own p50 and 1.5 times the pipe's p99."""
    whole = [one for one in passes if TAIL.ours in one and "pipe/noop" in one]
    if not whole:
        return None

    def limit(one: Pass) -> float:
        return max(3 * one[TAIL.ours]["p50"], 1.5 * one["pipe/noop"]["p99"])

    return Verdict(
        TAIL,
        median(whole, lambda one: one[TAIL.ours]["p99"]),
        median(whole, limit),
        median(whole, lambda one: one[TAIL.ours]["p99"] / limit(one)),
    )


def median(passes: list[Pass], figure: Callable[[Pass], float]) -> float:
    return statistics.median(figure(one) for one in passes)


def medians(passes: list[Pass]) -> Pass:
    """The median of every figure; a contender that failed in one pass counts in the others."""
    cells = {cell: figures for one in passes for cell, figures in one.items()}
    return {
        cell: {
            key: statistics.median(one[cell][key] for one in passes if cell in one)
            for key in figures
        }
        for cell, figures in cells.items()
    }
