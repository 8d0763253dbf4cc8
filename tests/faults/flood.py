"""Row 22 as figures; what offers the calls is `overload.py`."""

from __future__ import annotations

from collections.abc import Iterator

from .figures import Figure, shown
from .overload import overloaded

MIB = 1 << 20


def flooded(seconds: float) -> Iterator[Figure]:
    """Row 22: ten times more calls than the workers can do, whether or not earlier ones ended."""
    told = overloaded(seconds)
    yield shown("calls offered", told.offered)
    # How many depends on how fast the machine was while their number was chosen.
    yield Figure("refused at once", told.refused, least=told.offered / 2, promise="quiet")
    yield Figure("let in and served", told.served, least=1)
    yield Figure("waiting at once", told.most_queued, most=told.max_queue)
    yield Figure(
        "served, beside what is served without overload", told.goodput, least=0.5, promise="quiet"
    )
    yield Figure("let in → answer, p50", 1000 * told.p50, "ms")
    bound = 1000 * told.wait
    yield Figure("let in → answer, p99", 1000 * told.p99, "ms", most=2 * bound, promise="quiet")
    grown = told.memory_grown / MIB
    yield Figure("memory of the host, more than after a quarter", grown, "MiB", most=16)
    yield Figure("overload over → a fresh call", told.recovered, "s", most=2, promise="quiet")
