"""Streams: order, back-pressure, cancellation that reaches the generator."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from snakepit import RemoteError, SnakepitError, WorkerDied

from .conftest import Gates, until


@pytest.mark.parametrize("tool", ["count", "count_later"])
def test_in_order(pool: Any, tool: str) -> None:
    assert list(pool.execute_stream(tool, {"upto": 10})) == list(range(10))
    assert list(pool.execute_stream(tool, {"upto": 0})) == []


def test_many_small_ones(pool: Any) -> None:
    assert list(pool.execute_stream("count", {"upto": 200_000})) == list(range(200_000))


def test_large_ones(pool: Any) -> None:
    size = 3 * 1024 * 1024
    stream = pool.execute_stream("blobs", {"number": 20, "size": size})
    for number, chunk in enumerate(stream):
        assert len(chunk) == size
        assert chunk[0] == chunk[-1] == number
    assert number == 19


def test_each_arrives_when_it_is_made(pool: Any, gates: Gates) -> None:
    names = [gates(f"g{n}") for n in range(4)]
    with pool.execute_stream("count_in_steps", {"gates": names}) as stream:
        for number in range(4):
            gates.open(f"g{number}")
            assert next(stream) == number
        with pytest.raises(StopIteration):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)


def progress(path: str) -> int:
    file = Path(path)
    return int(file.read_bytes() or b"0") if file.exists() else 0


def test_a_slow_reader_stops_the_worker(pool: Any, gates: Gates) -> None:
    args = {"upto": 10**9, "progress": gates("progress"), "ended": gates("ended")}
    with pool.execute_stream("count_and_tell", args) as stream:
        assert [next(stream) for _ in range(3)] == [0, 1, 2]
        until(lambda: progress(args["progress"]) > 3, "the worker runs ahead")
        last = -1

        def stands_still() -> bool:
            nonlocal last
            before, last = last, progress(args["progress"])
            time.sleep(0.2)
            return before == last

        until(stands_still, "the worker waits for its reader")
        assert last < 50_000, "bounded, whatever the sizes of the buffers in between"
        assert [next(stream) for _ in range(3)] == [3, 4, 5]
        for number in range(6, last + 5_000):
            assert next(stream) == number
    gates.wait("ended")
    assert pool.execute("ping") == "pong"


@pytest.mark.parametrize("how", ["close", "with", "break", "drop"])
@pytest.mark.parametrize("tool", ["count_and_tell", "count_forever"])
def test_giving_up_closes_the_generator(pool: Any, gates: Gates, how: str, tool: str) -> None:
    pids = {worker.pid for worker in pool.list_workers()}
    args = {"ended": gates("ended")}
    if tool == "count_and_tell":
        args |= {"upto": 10**9, "progress": gates("progress")}
    stream = pool.execute_stream(tool, args)
    assert next(stream) == 0
    if how == "close":
        stream.close()
        assert list(stream) == []
    elif how == "with":
        with stream:
            pass
    elif how == "break":
        for _ in stream:
            break
        del stream
    else:
        del stream
        gc.collect()
    gates.wait("ended")
    until(lambda: pool.stats().running == 0, "the call is over")
    assert {worker.pid for worker in pool.list_workers()} == pids, "no worker had to go for it"


def test_on_chunk(pool: Any, gates: Gates) -> None:
    seen: list[int] = []
    assert pool.execute_stream("count", {"upto": 5}, on_chunk=seen.append) is None
    assert seen == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        pool.execute_stream(
            "count_forever", {"ended": gates("ended")}, on_chunk=lambda chunk: 1 / (3 - chunk)
        )
    gates.wait("ended")


def test_a_failure_comes_after_its_chunks(pool: Any) -> None:
    seen = []
    with pytest.raises(ValueError, match="enough") as caught:  # noqa: PT012
        for chunk in pool.execute_stream("count_and_fail", {"upto": 2000}):
            seen.append(chunk)
    assert seen == list(range(2000))
    assert isinstance(caught.value, RemoteError)
    assert "in count_and_fail" in (caught.value.remote_traceback or "")
    assert pool.execute("ping") == "pong"


def test_a_death_comes_after_its_chunks(pool: Any) -> None:
    seen = []
    with pytest.raises(WorkerDied) as caught:  # noqa: PT012
        for chunk in pool.execute_stream("count_and_die", {"upto": 5}):
            seen.append(chunk)
    assert seen == [0, 1, 2, 3, 4]
    assert caught.value.exit_code == 3
    assert pool.execute("ping", timeout=60) == "pong"


@pytest.mark.parametrize("tool", ["count", "ping"])
def test_the_wrong_verb_is_refused(pool: Any, tool: str) -> None:
    with pytest.raises((SnakepitError, TypeError)):  # noqa: PT012
        if tool == "count":
            pool.execute("count", {"upto": 3})
        else:
            list(pool.execute_stream("ping"))
    assert pool.execute("ping") == "pong"


def test_two_streams_at_once(pool: Any) -> None:
    one = pool.execute_stream("count", {"upto": 5000})
    other = pool.execute_stream("count_later", {"upto": 5000})
    assert list(zip(one, other, strict=True)) == [(n, n) for n in range(5000)]


def test_a_stream_beside_calls(pool: Any) -> None:
    with pool.execute_stream("count", {"upto": 10**9}) as stream:
        for number in range(200):
            assert next(stream) == number
            assert pool.execute("add", {"a": number, "b": 1}) == number + 1


def test_streams_wait_in_the_queue_like_calls(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    held = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    stream = pool.execute_stream("count", {"upto": 3})
    gates.open("go")
    assert list(stream) == [0, 1, 2]
    assert held.result(30) > 0


def test_a_stream_read_by_another_thread(pool: Any) -> None:
    stream = pool.execute_stream("count", {"upto": 1000})
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(stream))
    thread.start()
    thread.join(60)
    assert seen == list(range(1000))


def test_closing_wakes_a_reader(pool: Any, gates: Gates) -> None:
    stream = pool.execute_stream("count_in_steps", {"gates": [gates("never")]})
    ended = threading.Event()

    def read() -> None:
        with contextlib.suppress(SnakepitError):
            list(stream)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    stream.close()
    assert ended.wait(30)
    thread.join()
