"""The run as one SVG: a panel a workload, a bar a contender.

Written by hand: no library to install, and a diff of two pictures can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from budget import Pass

PANELS = [
    ("no-op call, p50, µs", "noop", "p50", "lower is better"),
    ("64 in flight, calls/s", "flight", "calls_s", "higher is better"),
    ("host CPU a call, µs", "flight", "host_cpu", "lower is better"),
    ("stream, items/s", "stream", "items_s", "higher is better"),
    ("start of 8 workers, ms", "start 8", "ms", "lower is better"),
    ("idle worker, PSS, MiB", "idle", "worker", "lower is better"),
]
NAMES = {
    "pipe": "raw pipe",
    "executor": "ProcessPoolExecutor",
    "loky": "loky",
    "ray": "Ray",
    "snakepit": "snakepit",
    "snakepit asyncio": "snakepit, asyncio",
    "snakepit rust": "snakepit, Rust host",
}
WIDTH, LABEL, VALUE, BAR, GAP = 720, 160, 80, 18, 34


def draw(figures: Pass, caption: str) -> str:
    """The whole picture; workloads that nobody ran are left out."""
    body: list[str] = []
    y = 30
    for title, workload, key, better in PANELS:
        values = {
            name: figures[cell][key] for name in NAMES if (cell := f"{name}/{workload}") in figures
        }
        if values:
            body.extend(panel(title, better, values, y))
            y += GAP + BAR * len(values) + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 20}" '
        f'font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>'
    )
    foot = f'<text x="12" y="{y + 6}" fill="#666">{escape(caption)}</text></svg>'
    return "\n".join([head, *body, foot]) + "\n"


def panel(title: str, better: str, values: dict[str, float], y: int) -> Iterator[str]:
    yield (
        f'<text x="12" y="{y}" font-weight="bold">{escape(title)}'
        f'<tspan font-weight="normal" fill="#666">  ({better})</tspan></text>'
    )
    longest = max(values.values())
    for row, (name, value) in enumerate(values.items()):
        top = y + 10 + row * BAR
        length = (WIDTH - LABEL - VALUE) * value / longest
        colour = "#2f7d4f" if name.startswith("snakepit") else "#b8bec6"
        yield (
            f'<text x="{LABEL - 8}" y="{top + 12}" text-anchor="end">{escape(NAMES[name])}</text>'
            f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR - 4}" fill="{colour}"/>'
            f'<text x="{LABEL + length + 6:.1f}" y="{top + 12}">{value:,.{digits(value)}f}</text>'
        )


def digits(value: float) -> int:
    return 0 if value >= 100 else 1
