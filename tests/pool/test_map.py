"""``map`` over real workers: order, laziness, back-pressure, the end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from .conftest import Gates, until


def test_in_order(pool: Any) -> None:
    args = ({"a": n, "b": n} for n in range(2000))
    assert list(pool.map("add", args)) == [2 * n for n in range(2000)]


def test_an_endless_iterable(pool: Any) -> None:
    results = pool.map("add", ({"a": n, "b": 1} for n in itertools.count()))
    assert list(itertools.islice(results, 100)) == list(range(1, 101))
    results.close()
    until(lambda: pool.stats().running + pool.stats().queued == 0, "the rest is cancelled")


def test_no_more_in_flight_than_allowed(pool: Any, gates: Gates) -> None:
    read = []

    def args() -> Any:
        for number in range(10):
            read.append(number)
            yield {"release": gates(f"go{number}")}

    gates.open("go0")
    results = pool.map("hold", args(), in_flight=3)
    assert next(results) > 0
    assert read == [0, 1, 2]
    for number in range(1, 10):
        gates.open(f"go{number}")
    assert len(list(results)) == 9


def test_the_first_failure_ends_it(pool: Any) -> None:
    results = pool.map(
        "echo", ({"value": n} if n != 50 else {"wrong": n} for n in range(1000)), in_flight=8
    )
    seen = []
    with pytest.raises(TypeError):
        seen.extend(results)
    assert seen == [] or seen == list(range(50))
    until(lambda: pool.stats().running + pool.stats().queued == 0, "the rest is cancelled")
    assert pool.stats().requests <= 60


def test_in_a_session(pool: Any) -> None:
    pids = {pid for pid, *_ in pool.map("who", [None] * 40, session="user")}
    assert len(pids) == 1
