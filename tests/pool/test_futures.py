"""Futures of real calls, wherever the standard library takes futures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from typing import Any

import pytest

from snakepit import RemoteError

from .conftest import Gates, Host, until


def test_many_in_flight(pool: Any) -> None:
    calls = [pool.submit("add", {"a": n, "b": 1}) for n in range(800)]
    assert [call.result(60) for call in calls] == list(range(1, 801))
    assert calls[0].result(0) == 1, "again"


def test_wait(pool: Any, gates: Gates) -> None:
    slow = pool.submit("hold", {"release": gates("go")})
    quick = [pool.submit("ping") for _ in range(20)]
    done, not_done = concurrent.futures.wait(quick, timeout=60)
    assert (len(done), not_done) == (20, set())
    done, not_done = concurrent.futures.wait(
        [slow, pool.submit("ping")], 60, concurrent.futures.FIRST_COMPLETED
    )
    assert not_done == {slow}
    done, not_done = concurrent.futures.wait(
        [slow, pool.submit("fail", {"kind": "KeyError"})], 60, concurrent.futures.FIRST_EXCEPTION
    )
    assert not_done == {slow}
    gates.open("go")
    assert concurrent.futures.wait([slow], 60).done == {slow}


def test_as_completed(pool: Any, gates: Gates) -> None:
    slow = pool.submit("hold", {"release": gates("go")})
    calls = [slow, *(pool.submit("add", {"a": n, "b": 0}) for n in range(200))]
    order = []
    for call in concurrent.futures.as_completed(calls, timeout=60):
        order.append(call)
        if len(order) == 200:
            gates.open("go")
    assert order[-1] is slow
    assert sorted(c.result(0) for c in order[:-1]) == list(range(200))


def test_with_a_standard_executor(pool: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        calls = [pool.submit("ping"), threads.submit(lambda: "pong")]
        assert {c.result(0) for c in concurrent.futures.as_completed(calls, 60)} == {"pong"}


def test_a_raised_error_keeps_nothing_for_ever(pool: Any) -> None:
    """The error holds the frame that it passed, which holds the future, which holds the error."""

    class Held:
        pass

    def fail() -> weakref.ref[Held]:
        held = Held()
        call = pool.submit("fail", {"kind": "ValueError"})
        with pytest.raises(ValueError, match="no"):
            call.result(60)
        return weakref.ref(held)

    left = [fail() for _ in range(5)]
    gc.collect()
    assert [each() for each in left] == [None] * 5


def test_callbacks(pool: Any) -> None:
    seen: list[Any] = []
    ended = threading.Event()

    def note(call: Any) -> None:
        seen.append(call.result(0))
        if len(seen) == 50:
            ended.set()

    for number in range(50):
        pool.submit("echo", {"value": number}).add_done_callback(note)
    assert ended.wait(60), "the futures themselves were dropped"
    assert sorted(seen) == list(range(50))


def test_a_callback_may_call_the_pool(pool: Any) -> None:
    results: list[str] = []
    ended = threading.Event()

    def again(call: Any) -> None:
        follow_up = pool.submit("ping")
        follow_up.add_done_callback(lambda c: (results.append(c.result(0)), ended.set()))

    pool.submit("ping").add_done_callback(again)
    assert ended.wait(60)
    assert results == ["pong"]


def test_states(pool: Any, gates: Gates) -> None:
    call = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    assert (call.running(), call.done()) == (True, False)
    with pytest.raises(TimeoutError):
        call.result(0.01)
    with pytest.raises(TimeoutError):
        call.exception(0)
    gates.open("go")
    assert call.result(30) > 0
    assert (call.running(), call.done()) == (False, True)


def test_failure(pool: Any) -> None:
    call = pool.submit("fail", {"kind": "LookupError"})
    error = call.exception(30)
    assert isinstance(error, RemoteError)
    with pytest.raises(LookupError):
        call.result()


def test_waiting_in_many_threads(pool: Any, gates: Gates) -> None:
    call = pool.submit("hold", {"release": gates("go")})
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(call.result(60))) for _ in range(6)]
    for thread in threads:
        thread.start()
    gates.open("go")
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert len(set(results)) == 1


def test_wrapped_by_asyncio(pool: Any, gates: Gates) -> None:
    async def main() -> None:
        assert await asyncio.wrap_future(pool.submit("ping")) == "pong"
        with pytest.raises(KeyError):
            await asyncio.wrap_future(pool.submit("fail", {"kind": "KeyError"}))
        running = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
        gates.wait("s")
        asyncio.wrap_future(running).cancel()
        await asyncio.sleep(0)
        assert running.cancelled()

    asyncio.run(main())


def test_calls_in_one_order_from_one_thread(make_pool: Any) -> None:
    pool = make_pool(size=1)
    ended: list[int] = []
    calls = []
    for number in range(300):
        call = pool.submit("echo", {"value": number})
        call.add_done_callback(lambda c: ended.append(c.result(0)))
        calls.append(call)
    concurrent.futures.wait(calls, 60)
    until(lambda: len(ended) == 300, "all callbacks")
    assert ended == list(range(300)), "one worker takes them first in, first out"


def test_polling_with_short_waits_costs_no_memory(host: Host, gates: Gates) -> None:
    code, out, err = host.run_script(
        f"""
import threading, time
import snakepit

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

with snakepit.Pool("pool.adapters:Basic", size=1, grace=0.3) as pool:
    future = pool.submit("hold", {{"started": {gates("s")!r}, "release": {gates("go")!r}}})
    polls = [0] * 4
    stop = False

    def poll(place):
        while not stop:
            try:
                future.result(timeout=1e-6)
            except TimeoutError:
                polls[place] += 1

    threads = [threading.Thread(target=poll, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    while sum(polls) < 100:
        time.sleep(0.01)
    before = resident()

    def polls_of_a_moment():
        begin = sum(polls)
        time.sleep(0.1)
        return sum(polls) - begin

    early = polls_of_a_moment()
    time.sleep(2.5)
    late = polls_of_a_moment()
    stop = True
    for thread in threads:
        thread.join()
    open({gates("go")!r}, "x").close()
    future.result(30)
    print(resident() - before, early, late)
"""
    )
    assert code == 0, err
    grown, early, late = map(int, out.split())
    assert grown < 20 << 20
    assert late * 5 > early, "a poll costs no more for those before it"
