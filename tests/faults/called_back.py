"""Host tools that call back into their own pool, and some that never return: row 24."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from snakepit_bridge import BaseAdapter, tool

from .figures import Figure, none

DEPTH = 50


class CallsBack(BaseAdapter):
    @tool
    def chain(self, left: int) -> Any:
        return self.session_context.call_host_tool("again", left=left - 1) if left else "bottom"

    @tool
    def back(self, name: str) -> Any:
        return self.session_context.call_host_tool(name)


def called_back(rounds: int, calls: int) -> Iterator[Figure]:
    """Chains of calls through pools of one and of two workers; then functions that never return."""
    refused_late, wrong = 0.0, 0
    for size in (1, 2):
        with snakepit.Pool(f"{__name__}:CallsBack", size=size, name=f"deep{size}") as pool:
            pool.register_tool("again", lambda left: pool.execute("chain", {"left": left}))
            pool.await_ready(60)
            for _ in range(rounds):
                begun = time.monotonic()
                wrong += not _refused(lambda: pool.execute("chain", {"left": DEPTH}))
                refused_late = max(refused_late, time.monotonic() - begun)
            ends = [pool.submit("chain", {"left": 1}).exception(60) for _ in range(calls)]
            at_once = [pool.submit("chain", {"left": 1}) for _ in range(calls)]
            ends += [future.exception(60) for future in at_once]
            wrong += sum(end is not None and "ReentrantCall" not in str(end) for end in ends)
            wrong += pool.stats().worker_deaths + pool.stats().timeouts
    yield none("calls that hung, timed out or were told something else", wrong)
    yield Figure(
        "a call at depth 50 is refused within", refused_late, "s", most=1.0, promise="quiet"
    )
    yield from _stuck(rounds)


def _refused(call: Any) -> bool:
    try:
        call()
    except snakepit.RemoteError as error:
        return "ReentrantCall" in str(error)
    return False


def _stuck(rounds: int) -> Iterator[Figure]:
    release, entered = threading.Event(), list[None]()

    def stuck() -> None:
        entered.append(None)
        release.wait()

    pool = snakepit.Pool(f"{__name__}:CallsBack", size=1, name="stuck")
    pool.register_tool("stuck", stuck)
    pool.await_ready(60)
    freed, wrong = 0.0, 0
    for _ in range(rounds):
        begun = time.monotonic()
        try:
            pool.execute("back", {"name": "stuck"}, timeout=0.2)
        except snakepit.CallTimeout:
            freed = max(freed, time.monotonic() - begun - 0.2)
        else:
            wrong += 1
    # The worker was freed together with its caller: it is the same one.
    wrong += pool.execute("chain", {"left": 0}) != "bottom"
    wrong += pool.stats().worker_deaths
    # On a busy machine a call may be over before it got as far as the tool.
    wrong += [tool.running for tool in pool.host_tools()] != [len(entered)] or not entered
    begun = time.monotonic()
    pool.close(drain=0)
    closed = time.monotonic() - begun
    release.set()
    yield none("wrong ends of calls whose host tool never returns", wrong)
    yield Figure(
        "its caller is freed after the deadline within", freed, "s", most=0.1, promise="quiet"
    )
    yield Figure("the pool closes within", closed, "s", most=5.0, promise="quiet")
