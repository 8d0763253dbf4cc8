"""Large values of host tools: what arrives, where it lies, how long it stays."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

np = pytest.importorskip("numpy")

import snakepit  # noqa: E402
from pool.conftest import until  # noqa: E402

DATA = "pool.data_adapters:Data"
MIB = 1 << 20
ITEMS = MIB // 8


def array(number: int = 1, mib: int = 1) -> Any:
    return np.arange(float(ITEMS * mib)) * number


def unused(pool: Any) -> bool:
    gc.collect()
    # What a worker that is gone had borrowed is counted back when somebody looks.
    pool.put(np.zeros(ITEMS)).close()
    return bool(pool.stats().shared_memory.in_use == 0)


def frames(count: int) -> Iterator[Any]:
    for number in range(count):
        yield array(number)


async def aframes(count: int) -> AsyncIterator[Any]:
    for number in range(count):
        yield array(number)


def there_and_back(pool: Any, mib: int) -> Any:
    """An argument of a host tool, as the host gets it."""
    seen = []

    async def later(value: Any) -> Any:
        return value * 3.0

    def look(value: Any) -> Any:
        seen.append(value)
        return {"deep": [value * 2.0]}["deep"][0]

    pool.register_tool("look", look)
    pool.register_tool("later", later)
    pool.register_tool("frames", frames)
    pool.register_tool("aframes", aframes)
    for name, factor in [("look", 2), ("look", 2), ("later", 3)]:
        kind, writable, value = pool.execute("ask", {"name": name, "value": array(mib=mib)})
        assert (kind, writable) == ("ndarray", False)
        assert np.array_equal(value, array(factor, mib))
    for name in ("frames", "aframes"):
        items = pool.execute("ask_for_many", {"name": name, "count": 5})
        assert items == [[False, array(number).sum(), ITEMS] for number in range(5)]
    return seen[0]


def test_they_lie_in_shared_memory(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, max_message=64 << 10)  # Nothing of them fits into a message.
    argument = there_and_back(pool, mib=4)
    stats = pool.stats().shared_memory
    assert not argument.flags.writeable
    assert stats.borrowed >= 4 * MIB, "arguments are in the memory of the worker"
    assert (stats.faults, stats.fallbacks) == (0, 0)
    del argument
    until(lambda: unused(pool), "nothing is in use")


def test_over_the_other_line_they_are_in_the_frame(make_pool: Any) -> None:
    pytest.importorskip("grpc")
    pool = make_pool(DATA, size=1, line="grpcio")
    there_and_back(pool, mib=4)


def test_what_is_put_or_born_there_is_not_copied(make_pool: Any) -> None:
    adapter = "pool.data_adapters:SharedData"
    pool = make_pool(adapter, size=1, profile="thread", threads_per_worker=2)
    born = pool.empty(ITEMS)
    born[:] = 5.0
    ref = pool.put(array(7))
    answers = {"born": born, "put": ref}
    pool.register_tool("give", lambda value: answers[value])
    before = pool.stats().shared_memory
    for name, total in [("born", 5.0 * ITEMS), ("put", array(7).sum())]:
        assert pool.execute("ask", {"name": "give", "value": name})[2].sum() == total
    after = pool.stats().shared_memory
    assert (after.made, after.reused) == (before.made, before.reused)


def test_what_somebody_keeps_is_not_overwritten(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    kept: list[Any] = []
    pool.register_tool("keep", lambda value: kept.append(value))
    pool.register_tool("give", lambda: array(3))
    pool.register_tool("echo", lambda value: value)
    pool.execute("ask", {"name": "keep", "value": array(2)})
    pool.execute("ask_and_keep", {"name": "give"})
    for number in range(10):  # would be put where those lie, if they were free
        pool.execute("ask", {"name": "echo", "value": array(number)})
    assert pool.execute("kept_total") == array(3).sum()
    assert pool.stats().shared_memory.in_use > 0
    pool.execute("forget")
    until(lambda: unused(pool), "what the worker let go of is given back")

    pool.execute("ask_and_keep", {"name": "give"})
    (worker,) = pool.list_workers()
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: unused(pool), "what the dead worker had is given back")
    pool.close(drain=0)
    assert np.array_equal(kept[0], array(2)), "also when its worker and its pool are gone"


def test_answers_that_nobody_takes_are_given_back(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    go = threading.Event()

    def slow(value: Any) -> Any:
        go.wait(60)
        return value * 2.0

    pool.register_tool("slow", slow)
    pool.register_tool("echo", lambda value: value)
    # It came, and is not looked at; it comes when nobody waits any more.
    pool.execute("ask_in_vain", {"name": "echo", "value": array(), "seconds": 0.2})
    pool.execute("ask_in_vain", {"name": "slow", "value": array(), "seconds": 0.0})
    go.set()
    until(lambda: unused(pool), "nothing is in use")
    assert pool.execute("ask", {"name": "echo", "value": array()})[2].sum() == array().sum()


def test_a_worker_without_descriptors_gets_the_bytes(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, max_message=4 << 20)

    @pool.tool
    def few(count: int) -> Iterator[Any]:
        yield from (array(3, mib=1) for _ in range(count))

    @pool.tool
    def many(count: int) -> Iterator[Any]:
        yield from (array(3, mib=8) for _ in range(count))

    pool.register_tool("none", lambda value: np.zeros(0))
    pool.execute("ask", {"name": "none"})  # imports numpy
    pool.execute("use_up_descriptors")
    total = array(3).sum()
    assert pool.execute("ask_for_many", {"name": "few", "count": 2}) == [[False, total, ITEMS]] * 2
    stats = pool.stats().shared_memory
    assert stats.faults >= 1
    assert stats.fallbacks >= 1
    with pytest.raises(snakepit.RemoteError, match=r"its result takes .* raise max_message"):
        pool.execute("ask_for_many", {"name": "many", "count": 1})
