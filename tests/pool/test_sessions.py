"""Sessions: calls that share a worker, the three affinities, and what a lost worker means."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from snakepit import SessionBusy, SessionLost

from .conftest import Gates, until


def test_calls_of_a_session_share_a_worker_and_its_state(pool: Any) -> None:
    with pool.session("user_42") as session:
        home = session.execute("remember", {"key": "model", "value": [1, 2]})
        assert all(session.execute("who")[:2] == [home, "user_42"] for _ in range(20))
        assert session.execute("recall", {"key": "model"}) == [1, 2]
        assert session.generation > 0


def test_the_adapter_sees_the_session(pool: Any) -> None:
    session = pool.session("u")
    assert session.execute("who")[1:] == ["u", True]
    assert session.execute("who")[1:] == ["u", False]
    assert pool.execute("who")[1:] == [None, False]


def test_every_way_to_name_a_session_leads_to_the_same_worker(pool: Any) -> None:
    home = pool.execute_in_session("u", "who")[0]
    assert pool.execute("who", session="u")[0] == home
    assert pool.execute("who", session=pool.session("u"))[0] == home
    assert pool.submit("who", session="u").result(30)[0] == home
    assert [pid for pid, *_ in pool.execute_stream("count_sessions", {"upto": 2}, session="u")] == [
        home,
        home,
    ]
    chunks = pool.execute_in_session_stream("u", "count_sessions", {"upto": 1})
    assert next(chunks)[:2] == [home, "u"]
    chunks.close()
    seen: list[Any] = []
    pool.execute_in_session_stream("u", "count_sessions", {"upto": 1}, on_chunk=seen.append)
    assert seen[0][0] == home
    assert pool.stats().sessions == 1


def test_sessions_spread_over_the_workers(pool: Any) -> None:
    homes = {name: pool.execute("who", session=name)[0] for name in map(str, range(20))}
    assert len(set(homes.values())) == 2
    for name, home in homes.items():
        assert pool.execute("who", session=name)[0] == home
    assert sum(worker.sessions for worker in pool.list_workers()) == 20


def busy_home(pool: Any, session: Any, gates: Gates) -> Any:
    held = session.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    return held


def test_strict_queue_waits_for_the_home(pool: Any, gates: Gates) -> None:
    session = pool.session("u", affinity="strict_queue")
    home = session.execute("who")[0]
    held = busy_home(pool, session, gates)
    waiting = [session.submit("who") for _ in range(5)]
    assert pool.execute("ping") == "pong", "the other worker is free"
    assert not any(call.done() for call in waiting)
    gates.open("go")
    assert held.result(30) == home
    assert [call.result(30)[0] for call in waiting] == [home] * 5


def test_strict_fail_fast_says_so_at_once(pool: Any, gates: Gates) -> None:
    session = pool.session("u", affinity="strict_fail_fast")
    home = session.execute("who")[0]
    held = busy_home(pool, session, gates)
    with pytest.raises(SessionBusy) as caught:
        session.execute("who")
    assert caught.value.may_have_run is False
    gates.open("go")
    assert held.result(30) == home
    assert session.execute("who")[0] == home


def test_hint_takes_another_worker(pool: Any, gates: Gates) -> None:
    session = pool.session("u", affinity="hint")
    home = session.execute("who")[0]
    assert session.execute("who")[0] == home, "the home, while it is free"
    held = busy_home(pool, session, gates)
    assert session.execute("who", timeout=30)[0] != home
    gates.open("go")
    assert held.result(30) == home


def test_the_pools_affinity_is_the_default(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(affinity="strict_fail_fast")
    pool.await_ready(60)
    session = pool.session("u")
    assert session.affinity == "strict_fail_fast"
    session.execute("who")
    held = busy_home(pool, session, gates)
    with pytest.raises(SessionBusy):
        pool.execute("who", session="u")
    gates.open("go")
    held.result(30)


@pytest.mark.parametrize("affinity", ["strict_queue", "strict_fail_fast"])
def test_a_dead_home_is_a_lost_session(pool: Any, affinity: str) -> None:
    session = pool.session("u", affinity=affinity)
    home = session.execute("remember", {"key": "k", "value": 1})
    bound = session.generation
    [ref] = [worker.ref for worker in pool.list_workers() if worker.pid == home]
    os.kill(home, signal.SIGKILL)
    until(lambda: pool.stats().worker_deaths == 1, "the death is known")
    until(lambda: pool.stats().ready == 2, "the slot is refilled")

    for _ in range(2):
        with pytest.raises(SessionLost) as caught:
            session.execute("recall", {"key": "k"})
        assert (caught.value.session, caught.value.worker) == ("u", ref)
        assert caught.value.may_have_run is False
    with pytest.raises(SessionLost):
        list(session.execute_stream("count_sessions", {"upto": 1}))

    _, name, is_new = pool.execute("who", session="u")
    assert (name, is_new) == ("u", True), "by id, the next use binds anew"
    again = pool.session("u", affinity=affinity)
    assert again.execute("who")[2] is False
    assert again.generation > bound
    with pytest.raises(SessionLost):
        session.execute("who")


def test_hint_survives_its_home(pool: Any) -> None:
    session = pool.session("u", affinity="hint")
    home = session.execute("who")[0]
    os.kill(home, signal.SIGKILL)
    until(lambda: pool.stats().worker_deaths == 1, "the death is known")
    assert session.execute("who", timeout=60)[0] != home


def test_calls_that_wait_for_a_home_that_dies(pool: Any, gates: Gates) -> None:
    session = pool.session("u")
    dying = session.submit("die", {"how": "SIGKILL", "started": gates("s"), "release": gates("go")})
    gates.wait("s")
    waiting = [session.submit("who") for _ in range(3)]
    homes = [worker.ref for worker in pool.list_workers() if worker.sessions]
    gates.open("go")
    assert dying.exception(30) is not None
    for call in waiting:
        error = call.exception(30)
        assert isinstance(error, SessionLost)
        assert [error.worker] == homes
        assert error.may_have_run is False


def test_a_stream_keeps_its_home_busy(pool: Any) -> None:
    session = pool.session("u")
    home = session.execute("who")[0]
    with session.execute_stream("count", {"upto": 10**9}) as stream:
        assert next(stream) == 0
        waiting = session.submit("who")
        assert next(stream) == 1
        assert pool.execute("ping") == "pong"
        assert not waiting.done()
    assert waiting.result(30)[0] == home


def test_threads_of_one_session(pool: Any) -> None:
    session = pool.session("u")
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(session.execute("who")[0] for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200
    assert len(set(seen)) == 1
