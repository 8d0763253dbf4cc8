"""The future of a call, wherever a ``concurrent.futures.Future`` is taken."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
import weakref
from concurrent.futures import CancelledError, InvalidStateError
from typing import Any

import pytest

from snakepit import Cancelled, Future, QueueFull

from .fake_core import FakeReply


def pair() -> tuple[Future, FakeReply]:
    reply = FakeReply()
    return Future(reply), reply


def on_a_thread(function: Any, *args: Any, **kwargs: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, kwargs=kwargs)
    thread.start()
    return thread


def test_result_and_state() -> None:
    future, reply = pair()
    assert isinstance(future, concurrent.futures.Future)
    assert (future.done(), future.running(), future.cancelled()) == (False, False, False)
    reply.started = True
    assert future.running()
    reply.end({"x": 1})
    assert (future.done(), future.running()) == (True, False)
    assert future.result() == {"x": 1}
    assert future.result() is future.result()
    assert future.exception() is None


def test_nothing_is_armed_by_plain_use() -> None:
    future, reply = pair()
    reply.end(1)
    future.result(), future.exception(), future.done(), future.cancel()
    assert future._notification is None
    assert not vars(future), "no instance dictionary either"


def test_failure() -> None:
    future, reply = pair()
    reply.end(error=QueueFull("full", capacity=3))
    with pytest.raises(QueueFull):
        future.result()
    assert isinstance(future.exception(), QueueFull)


def test_waiting_has_a_limit() -> None:
    future, _ = pair()
    with pytest.raises(TimeoutError):
        future.result(timeout=0)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0.001)
    assert not future.done()


def test_a_running_call_can_be_cancelled() -> None:
    future, reply = pair()
    reply.started = True
    assert future.cancel()
    assert (future.cancelled(), future.done()) == (True, True)
    assert future.cancel(), "again"
    with pytest.raises(Cancelled):
        future.result()
    with pytest.raises(CancelledError):
        future.exception()


def test_a_finished_call_cannot() -> None:
    future, reply = pair()
    reply.end(1)
    assert not future.cancel()
    assert not future.cancelled()


def test_callbacks_run_in_order_once_and_at_once_when_late() -> None:
    future, reply = pair()
    seen: list[Any] = []
    future.add_done_callback(lambda f: seen.append(("first", f.result())))
    future.add_done_callback(lambda f: seen.append(("second", f is future)))
    assert seen == []
    reply.end(7)
    assert seen == [("first", 7), ("second", True)]
    future.add_done_callback(lambda f: seen.append("late"))
    assert seen[-1] == "late"


def test_a_raising_callback_is_logged_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    future, reply = pair()
    seen: list[Any] = []
    future.add_done_callback(lambda f: 1 / 0)
    future.add_done_callback(seen.append)
    with caplog.at_level(logging.ERROR, "concurrent.futures"):
        reply.end(1)
    assert seen == [future]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


def test_cancelling_calls_back() -> None:
    future, _ = pair()
    seen: list[bool] = []
    future.add_done_callback(lambda f: seen.append(f.cancelled()))
    future.cancel()
    assert seen == [True]


def test_wait_for_all() -> None:
    pairs = [pair() for _ in range(4)]
    pairs[0][1].end("done before")
    thread = on_a_thread(lambda: [reply.end(1) for _, reply in pairs])
    done, not_done = concurrent.futures.wait([f for f, _ in pairs], timeout=10)
    thread.join()
    assert (len(done), not_done) == (4, set())


def test_wait_for_the_first() -> None:
    (one, first), (other, second) = pair(), pair()
    thread = on_a_thread(first.end, 1)
    done, not_done = concurrent.futures.wait(
        [one, other], timeout=10, return_when=concurrent.futures.FIRST_COMPLETED
    )
    thread.join()
    assert (done, not_done) == ({one}, {other})
    second.end()


def test_wait_for_the_first_exception() -> None:
    pairs = [pair() for _ in range(3)]

    def end() -> None:
        pairs[0][1].end(1)
        pairs[1][1].end(error=ValueError())

    thread = on_a_thread(end)
    done, not_done = concurrent.futures.wait(
        [f for f, _ in pairs], timeout=10, return_when=concurrent.futures.FIRST_EXCEPTION
    )
    thread.join()
    assert pairs[1][0] in done
    assert not_done == {pairs[2][0]}


def test_wait_gives_up() -> None:
    future, reply = pair()
    done, not_done = concurrent.futures.wait([future], timeout=0.01)
    assert (done, not_done) == (set(), {future})
    assert future._waiters == []
    reply.end()


def test_wait_counts_cancelled_ones() -> None:
    (one, _), (other, reply) = pair(), pair()
    one.cancel()
    thread = on_a_thread(reply.cancel)
    done, _ = concurrent.futures.wait([one, other], timeout=10)
    thread.join()
    assert done == {one, other}


def test_mixed_with_standard_futures() -> None:
    standard: concurrent.futures.Future[int] = concurrent.futures.Future()
    future, reply = pair()
    standard.set_result(1)
    thread = on_a_thread(reply.end, 2)
    results = sorted(f.result() for f in concurrent.futures.as_completed([standard, future], 10))
    thread.join()
    assert results == [1, 2]


@pytest.mark.parametrize("round_", range(20))
def test_as_completed_sees_each_once_while_calls_end_around_it(round_: int) -> None:
    pairs = [pair() for _ in range(200)]
    start = threading.Barrier(2)

    def end() -> None:
        start.wait()
        for number, (_, reply) in enumerate(pairs):
            reply.end(number)

    thread = on_a_thread(end)
    start.wait()
    seen = [f.result() for f in concurrent.futures.as_completed([f for f, _ in pairs], timeout=30)]
    thread.join()
    assert sorted(seen) == list(range(200))


def test_many_threads_arm_one_future() -> None:
    for _ in range(50):
        future, reply = pair()
        seen: list[int] = []
        start = threading.Barrier(5)

        def watch(future: Future = future, seen: list[int] = seen, start: Any = start) -> None:
            start.wait()
            future.add_done_callback(lambda f: seen.append(f.result()))

        threads = [on_a_thread(watch) for _ in range(4)]
        start.wait()
        reply.end(3)
        for thread in threads:
            thread.join()
        assert seen == [3] * 4


def test_asyncio_can_wrap_it() -> None:
    async def main() -> None:
        future, reply = pair()
        wrapped = asyncio.wrap_future(future)
        on_a_thread(reply.end, 5).join()
        assert await wrapped == 5

        failing, reply = pair()
        on_a_thread(reply.end, error=QueueFull("full")).join()
        with pytest.raises(QueueFull):
            await asyncio.wrap_future(failing)

        cancelled, reply = pair()
        wrapped = asyncio.wrap_future(cancelled)
        wrapped.cancel()
        await asyncio.sleep(0)
        assert reply.cancelled(), "cancelling the wrapper cancels the call"

    asyncio.run(main())


def test_repr_tells_the_state() -> None:
    future, reply = pair()
    assert "state=pending" in repr(future)
    reply.end([1])
    assert "state=finished returned list" in repr(future)
    failed, reply = pair()
    reply.end(error=QueueFull("full"))
    assert "raised QueueFull" in repr(failed)
    cancelled, _ = pair()
    cancelled.cancel()
    assert "state=cancelled" in repr(cancelled)


def test_the_outcome_cannot_be_set() -> None:
    future, reply = pair()
    for change in (
        lambda: future.set_result(1),
        lambda: future.set_exception(ValueError()),
        lambda: future.set_running_or_notify_cancel(),
    ):
        with pytest.raises(InvalidStateError):
            change()
    reply.end()


def test_a_dropped_future_is_freed_and_its_callbacks_still_run() -> None:
    future, reply = pair()
    seen: list[Any] = []
    future.add_done_callback(lambda f: seen.append(f.result()))
    gone = weakref.ref(future)
    del future
    assert gone() is not None, "the call keeps it for its callbacks"
    reply.end(1)
    assert seen == [1]
    gc.disable()
    try:
        assert gone() is None, "no cycle is left behind"
    finally:
        gc.enable()
