"""Closing: what runs may end, the rest is told, and nothing is left."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest

import snakepit
from snakepit import PoolClosed, SnakepitError

from .conftest import BASIC, Gates, Host, marked_processes, until


def test_calls_under_way_may_end(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    calls = [pool.submit("hold", {"started": gates("s"), "release": gates("go")})]
    gates.wait("s")
    calls += [pool.submit("ping") for _ in range(5)]
    gates.open("go")
    pool.close(drain=60)
    assert calls[0].result(0) > 0
    assert [call.result(0) for call in calls[1:]] == ["pong"] * 5
    assert marked_processes() == [], "close returns when nothing is left"


def test_what_takes_longer_is_cancelled(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    running = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    waiting = pool.submit("ping")
    begin = time.monotonic()
    pool.close(drain=0.2)
    assert time.monotonic() - begin < 15
    for call in (running, waiting):
        assert call.done()
        with pytest.raises((PoolClosed, snakepit.Cancelled)):
            call.result(0)
    with pytest.raises(SnakepitError) as caught:
        waiting.result(0)
    assert caught.value.may_have_run is False


@pytest.mark.parametrize(
    "use",
    [
        lambda pool: pool.execute("ping"),
        lambda pool: pool.submit("ping").result(10),
        lambda pool: list(pool.execute_stream("count", {"upto": 1})),
        lambda pool: list(pool.map("ping", [None])),
        lambda pool: pool.session("u").execute("ping"),
        lambda pool: pool.await_ready(1),
    ],
    ids=["execute", "submit", "execute_stream", "map", "session", "await_ready"],
)
def test_a_closed_pool(make_pool: Any, use: Any) -> None:
    pool = make_pool(size=1)
    pool.close()
    assert pool.closed
    with pytest.raises(PoolClosed):
        use(pool)


def test_closing_twice_and_at_once(make_pool: Any) -> None:
    pool = make_pool()
    pool.close()
    pool.close()
    assert pool.stats().ready == 0
    assert pool.stats().workers in (0, 2)


def test_closing_while_workers_start() -> None:
    begin = time.monotonic()
    snakepit.Pool("pool.adapters:HangsInInitialize", size=3).close()
    assert time.monotonic() - begin < 15


def test_the_block() -> None:
    with snakepit.Pool(BASIC, size=2) as pool:
        assert pool.execute("ping") == "pong"
    assert pool.closed


def test_an_exception_leaving_the_block_does_not_wait(gates: Gates) -> None:
    begin = time.monotonic()
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        snakepit.Pool(BASIC, size=1, grace=0.3, drain_timeout=100) as pool,
    ):
        call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
        gates.wait("s")
        raise ZeroDivisionError
    assert time.monotonic() - begin < 60
    assert call.done()


def test_cleanup_runs(make_pool: Any, gates: Gates) -> None:
    pool = make_pool("pool.adapters:CleansUp", adapter_args={"directory": gates("")})
    pool.await_ready(60)
    pool.close()
    assert gates.opened("cleanup-0")
    assert gates.opened("cleanup-1")


def test_a_stream_is_told(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    stream = pool.execute_stream("count_forever", {"ended": gates("ended")})
    assert next(stream) == 0
    pool.close(drain=0)
    with pytest.raises(SnakepitError):
        for _ in stream:
            pass


def test_a_program_that_forgets_to_close(host: Host) -> None:
    code, out, err = host.run_script(
        "import snakepit\n"
        "pool = snakepit.Pool('pool.adapters:Basic', size=2)\n"
        "print(pool.execute('ping'))\n"
    )
    assert (code, out, err) == (0, "pong\n", "")


def test_a_program_that_ends_in_an_exception(host: Host) -> None:
    code, _, err = host.run_script(
        "import snakepit\n"
        "pool = snakepit.Pool('pool.adapters:Basic', size=2)\n"
        "pool.execute('fail', {'kind': 'KeyError', 'text': 'lost'})\n"
    )
    assert code == 1
    assert "snakepit.errors.RemoteKeyError" in err
    assert "adapters.py" in err, "the worker's traceback is on the terminal"


def test_a_pool_that_is_dropped(host: Host) -> None:
    code, out, err = host.run_script(
        "import gc, snakepit\n"
        "pool = snakepit.Pool('pool.adapters:Basic', size=2)\n"
        "print(pool.execute('ping'))\n"
        "del pool; gc.collect()\n"
        "print('on')\n"
    )
    assert (code, out.split()) == (0, ["pong", "on"]), err


def test_a_killed_program_leaves_nothing(host: Host, gates: Gates) -> None:
    process = host.start_script(
        "import snakepit\n"
        "pool = snakepit.Pool('pool.adapters:Basic', size=2)\n"
        f"pool.execute('hold', {{'started': {gates('s')!r}, 'release': {gates('never')!r}}})\n"
    )
    gates.wait("s")
    assert len(marked_processes()) >= 3
    process.kill()
    process.communicate()
    until(lambda: not marked_processes(), "all workers are gone", seconds=5)


def test_a_long_grace_does_not_hold_up_closing(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, grace=60)
    call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    begin = time.monotonic()
    pool.close(drain=0)
    assert time.monotonic() - begin < 25
    assert call.done()


def test_dropping_a_pool_ends_its_calls(gates: Gates) -> None:
    pool = snakepit.Pool(BASIC, size=2, grace=0.3)
    call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.open("first")
    steps = {"gates": [gates("first"), gates("never")]}
    stream = pool.execute_stream("count_in_steps", steps, idle_timeout=20)
    assert next(stream) == 0
    gates.wait("s")
    del pool
    gc.collect()
    with pytest.raises(PoolClosed):
        call.result(20)
    with pytest.raises(PoolClosed):
        next(stream)


def test_dropping_pools_leaves_no_zombie() -> None:
    for _ in range(5):
        pool = snakepit.Pool(BASIC, size=2)
        pool.await_ready(60)
        del pool
        gc.collect()
    until(lambda: not marked_processes(), "no process is left, no zombie either", seconds=10)
