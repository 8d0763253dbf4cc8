"""What the counters of a pool count: each call once on its way in, and once at its end."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit import CallTimeout, PoolClosed, QueueFull, SessionBusy

from .conftest import Gates


def test_each_way_in_and_each_end(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, max_queue=1)
    assert pool.execute("ping") == "pong"
    with pytest.raises(ValueError, match="no"):
        pool.execute("fail", {"kind": "ValueError"})
    busy = pool.submit("hold", {"started": gates("s"), "release": gates("go")}, session="u")
    gates.wait("s")
    with pytest.raises(CallTimeout) as caught:
        pool.execute("ping", timeout=0.2)
    assert caught.value.may_have_run is False
    with pytest.raises(SessionBusy):
        pool.session("u", affinity="strict_fail_fast").execute("ping")
    gates.open("go")
    assert busy.result(30) > 0

    never = pool.submit("hold", {"started": gates("s2"), "release": gates("never")})
    gates.wait("s2")
    waiting = []
    with pytest.raises(QueueFull):  # noqa: PT012
        for _ in range(10):  # Some wait at the worker already, not in the queue.
            waiting.append(pool.submit("ping"))
    for call in [*waiting, never]:
        assert call.cancel()
    given_up = len(waiting) + 1
    pool.close(drain=0)
    for _ in range(3):
        with pytest.raises(PoolClosed):
            pool.execute("ping")

    stats = pool.stats()
    assert stats.requests == 4 + given_up
    assert (stats.completed, stats.errors, stats.cancelled) == (2, 1, given_up)
    assert (stats.timeouts, stats.queue_timeouts) == (1, 1)
    assert stats.rejected == 5, "busy, full and three times closed"
    ended = stats.completed + stats.errors + stats.cancelled + stats.timeouts
    assert stats.requests == ended
