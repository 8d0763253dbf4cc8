"""Calls and values, as a first user meets them."""

from __future__ import annotations

import datetime
import decimal
import math
import os
import threading
import uuid
from typing import Any

import pytest

import snakepit
from snakepit import PoolStats, WorkerRef

from .adapters import Basic, WithoutBase
from .conftest import Gates, until

VALUES = [
    None,
    True,
    0,
    -(2**63),
    2**64 + 1,
    -(10**40),
    1.5,
    math.inf,
    "",
    "naïve ☃ 𝄞",
    b"",
    bytes(range(256)),
    [],
    [1, [2, [3, None]]],
    {},
    {"a": {"b": [1.5]}, "": None},
    {2: "two", 2.5: "more", False: "no", b"k": None},
    datetime.date(2026, 11, 24),
    datetime.datetime(2026, 11, 24, 12, 30, 15, 250, datetime.UTC),
    datetime.timedelta(days=-3, microseconds=7),
    decimal.Decimal("3.14159265358979323846264338327950288"),
    uuid.UUID("12345678123456781234567812345678"),
]


@pytest.mark.parametrize("face", ["class", "text"])
def test_a_first_call(make_pool: Any, face: str) -> None:
    pool = make_pool(Basic if face == "class" else "pool.adapters:Basic")
    assert pool.execute("ping") == "pong", "nobody had to wait for the pool"
    assert pool.execute("add", {"a": 1, "b": 2}) == 3
    assert pool.execute("add_later", {"a": 1, "b": 2}) == 3


def test_it_runs_in_other_processes(pool: Any) -> None:
    pids = {worker.pid for worker in pool.list_workers()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert pool.execute("pid") in pids


def test_values_arrive_as_they_left(pool: Any) -> None:
    assert pool.execute("echo", {"value": VALUES}) == VALUES
    for value in VALUES:
        back = pool.execute("echo", {"value": value})
        assert back == value
        assert type(back) is type(value)
        kind, shown = pool.execute("describe", {"value": value})
        assert (kind, shown) == (type(value).__name__, repr(value))


def test_not_a_number(pool: Any) -> None:
    assert math.isnan(pool.execute("echo", {"value": math.nan}))


def test_tuples_arrive_as_lists(pool: Any) -> None:
    assert pool.execute("echo", {"value": (1, (2,))}) == [1, [2]]


def test_arrays_keep_shape_and_dtype(pool: Any) -> None:
    numpy = pytest.importorskip("numpy")
    for array in (
        numpy.arange(12, dtype="float32").reshape(3, 4),
        numpy.zeros((0, 5), dtype="int8"),
        numpy.array(7, dtype="uint16"),
        numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
        numpy.random.default_rng(1).random((300, 400)),
    ):
        back = pool.execute("echo", {"value": array})
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert (back == array).all()
    scalar = pool.execute("echo", {"value": numpy.float32(1.5)})
    assert (scalar, scalar.dtype) == (1.5, "float32")


def test_a_large_value(pool: Any) -> None:
    data = os.urandom(20 * 1024 * 1024)
    assert pool.execute("echo", {"value": data}) == data


def test_adapter_args_and_initialize(make_pool: Any) -> None:
    pool = make_pool(adapter_args={"greeting": "moin"})
    assert pool.execute("greet") == ["moin", True]


def test_any_class_with_tools(make_pool: Any) -> None:
    assert make_pool(WithoutBase).execute("ping") == "pong"


def test_the_adapter_knows_its_place(make_pool: Any) -> None:
    pool = make_pool(name="gpu", size=1)
    assert pool.execute("place") == ["gpu", 0, pool.list_workers()[0].ref.generation]


def test_calls_from_many_threads(pool: Any) -> None:
    failures: list[BaseException] = []

    def work(base: int) -> None:
        try:
            for number in range(200):
                assert pool.execute("add", {"a": base, "b": number}) == base + number
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert pool.stats().completed >= 1600


def test_both_workers_work(pool: Any, gates: Gates) -> None:
    calls = [
        pool.submit("hold", {"started": gates(f"s{n}"), "release": gates("go")}) for n in (0, 1)
    ]
    gates.wait("s0")
    gates.wait("s1")
    assert {worker.state for worker in pool.list_workers()} == {"busy"}
    gates.open("go")
    assert len({call.result(30) for call in calls}) == 2


def test_the_deadline_is_known_to_the_tool(pool: Any) -> None:
    assert 290 < pool.execute("remaining") <= 300
    assert 4 < pool.execute("remaining", timeout=5) <= 5
    assert pool.execute("remaining", timeout=None) is None


def test_stats(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    assert isinstance(pool.stats(), PoolStats)
    before = pool.stats()
    assert (before.workers, before.ready, before.requests) == (1, 1, 0)
    pool.execute("ping")
    with pytest.raises(ValueError, match="no"):
        pool.execute("fail", {"kind": "ValueError"})
    stats = pool.stats()
    assert (stats.requests, stats.completed, stats.errors) == (2, 1, 1)
    held = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    assert (pool.stats().running, pool.stats().requests) == (1, 3)
    gates.open("go")
    held.result(30)
    until(lambda: pool.stats().running == 0, "nothing runs")
    assert (pool.stats().worker_deaths, pool.stats().restarts) == (0, 0)


def test_the_table(make_pool: Any) -> None:
    pool = make_pool(name="table")
    pool.await_ready(60)
    for _ in range(4):
        pool.execute("ping")
    first, second = pool.list_workers()
    assert (str(first.ref), str(second.ref)) == ("table/0", "table/1")
    assert first.calls + second.calls == 4
    assert {first.state, second.state} == {"ready"}
    for worker in (first, second):
        os.kill(worker.pid, 0)
        assert worker.memory > 1_000_000
        assert worker.sessions == 0


def test_recycle_replaces_one_worker(pool: Any) -> None:
    old, other = pool.list_workers()
    pool.recycle(old.ref)

    def replaced() -> Any:
        new = pool.list_workers()[0]
        return new if new.ref.generation > old.ref.generation and new.state == "ready" else None

    new = until(replaced, "slot 0 has a new worker")
    assert new.pid != old.pid
    assert pool.list_workers()[1].pid == other.pid
    assert pool.execute("ping") == "pong"
    pool.recycle(old.ref)
    pool.recycle(WorkerRef("default", 0, 1))
    assert pool.list_workers()[0].pid == new.pid, "a worker that is gone is left alone"


def test_recycle_fails_no_call(pool: Any) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        while not stop.is_set():
            try:
                pool.execute("ping")
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = pool.list_workers()[0]
        pool.recycle(before.ref)
        until(
            lambda old=before: (
                (new := pool.list_workers()[0]).ref.generation > old.ref.generation
                and new.state in ("ready", "busy")
            ),
            "slot 0 has a new worker",
        )
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_pools(make_pool: Any) -> None:
    one, other = make_pool(name="one", size=1), make_pool(name="other", size=1)
    assert one.execute("place")[0] == "one"
    assert other.execute("place")[0] == "other"
    one.close()
    assert other.execute("ping") == "pong"


def test_await_ready_gives_up(make_pool: Any) -> None:
    pool = make_pool("pool.adapters:HangsInInitialize", size=1)
    with pytest.raises(snakepit.StartError):
        pool.await_ready(0.05)
