"""The words and helpers of adapters whose calls overlap, and the checks of what threads do."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from snakepit_bridge import (
    BaseAdapter,
    ThreadSafeAdapter,
    require_thread_safe,
    thread_safe_method,
    tool,
)
from snakepit_bridge._adapter import WorkerInfo
from snakepit_bridge._context import current
from snakepit_bridge._lifecycle import LiveAdapter
from snakepit_bridge._safety import Checks
from snakepit_bridge._thread_safe import is_declared, is_marked, require_declared
from snakepit_bridge.errors import ThreadSafetyError


class Plain(BaseAdapter):
    @tool
    def ping(self) -> str:
        return "pong"


class Said(Plain):
    __thread_safe__ = True


class Inherited(Said):
    pass


class Guarded(ThreadSafeAdapter):
    def __init__(self) -> None:  # no super().__init__(), as people write it
        self.value = 0

    @tool
    @thread_safe_method
    def set(self, value: int) -> None:
        with self.acquire_lock(), self.acquire_lock():
            self.value = value

    @thread_safe_method
    @tool
    def set_unlocked(self, value: int) -> None:
        self.value = value

    @tool
    def unmarked(self) -> None:
        """Lacks the mark."""

    @tool
    async def coroutine(self) -> None:
        """Never runs in two threads."""


def test_the_word_counts_where_it_is_inherited_and_what_lacks_it_is_told_how_to_mend_it() -> None:
    assert [is_declared(c) for c in (Plain, Said, Inherited, Guarded)] == [False, True, True, True]
    with pytest.raises(ThreadSafetyError, match="__thread_safe__ = True"):
        require_declared(Plain)
    require_declared(Inherited)


def test_a_mark_is_found_whichever_way_decorators_are_stacked() -> None:
    assert is_marked(Guarded.set)
    assert is_marked(Guarded().set_unlocked)
    assert not is_marked(Guarded.unmarked)


def test_a_tool_tells_whether_it_may_overlap_with_itself() -> None:
    live = LiveAdapter(Guarded, {}, WorkerInfo("p", 0, 1))
    assert {name: safe for name, *_, safe in live.listing} == {
        "set": True,
        "set_unlocked": True,
        "unmarked": False,
        "coroutine": True,
    }
    live.close()


def test_require_thread_safe_refuses_other_adapters() -> None:
    class Careless(BaseAdapter):
        @require_thread_safe
        def shared(self) -> str:
            return "shared"

    class Careful(Careless):
        __thread_safe__ = True

    assert Careful().shared() == "shared"
    with pytest.raises(ThreadSafetyError, match="shared is for thread-safe adapters only"):
        Careless().shared()


def test_thread_locals_are_each_threads_own() -> None:
    adapter = Guarded()
    adapter.set_thread_local("cache", {"mine": 1})
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(adapter.get_thread_local("cache", {})))
    thread.start()
    thread.join()
    assert seen == [{}]
    assert adapter.get_thread_local("cache") == {"mine": 1}
    adapter.clear_thread_local("cache")
    assert adapter.get_thread_local("cache") is None
    adapter.set_thread_local("a", 1)
    adapter.clear_thread_local()
    assert adapter.get_thread_local("a") is None


def test_the_lock_is_reentrant_and_knows_its_holder() -> None:
    lock = Guarded().acquire_lock()
    with lock:
        with lock:
            assert lock.is_mine
        assert lock.is_mine
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(lock.is_mine))
        thread.start()
        thread.join()
        assert seen == [False]
    assert not lock.is_mine


def test_requests_are_counted_by_thread() -> None:
    adapter = Guarded()
    with adapter.track_request("one"):
        stats = adapter.get_stats()
        assert (stats["active_requests"], stats["total_requests"]) == (1, 1)
    stats = adapter.get_stats()
    assert (stats["active_requests"], stats["total_requests"]) == (0, 1)
    assert stats["thread_utilization"] == {threading.get_ident(): 1}


# --- checks -------------------------------------------------------------------------------------


class _Call:
    id = 1
    tool = "some_tool"


@pytest.fixture
def checked(capfd: pytest.CaptureFixture[str]) -> Any:
    live = LiveAdapter(Guarded, {}, WorkerInfo("p", 0, 1))
    told: list[str] = []
    checks = Checks(live, told.append)
    token = current.set(_Call())  # type: ignore[arg-type]
    yield live.adapter, checks, told
    current.reset(token)
    live.close()


def test_writes_with_the_lock_held_are_nothing_and_others_are_told_once(
    checked: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    adapter, _, told = checked
    adapter.set(1)
    assert told == []
    adapter.set_unlocked(2)
    adapter.set_unlocked(3)
    with adapter.acquire_lock():
        adapter.other = 1
    del adapter.other
    assert len(told) == 2
    assert "attribute 'value' of Guarded was changed by tool 'some_tool'" in told[0]
    assert "attribute 'other'" in told[1]
    assert capfd.readouterr().err.count("ThreadSafetyWarning: ") == 2
    assert adapter.value == 3
    assert isinstance(adapter, Guarded)
    assert type(adapter).__name__ == "Guarded"


def test_outside_of_calls_nothing_is_told(checked: Any) -> None:
    adapter, _, told = checked
    token = current.set(None)
    adapter.value = 5
    current.reset(token)
    assert told == []


def test_overlapping_calls_of_an_unmarked_tool_are_told_once(checked: Any) -> None:
    _, checks, told = checked
    for name in ("set", "coroutine"):
        with checks.inside(name), checks.inside(name):
            pass
    assert told == []
    for _ in range(2):
        with checks.inside("unmarked"), checks.inside("unmarked"):
            pass
    with checks.inside("unmarked"):
        pass
    assert checks._inside == {}
    assert len(told) == 1
    assert "'unmarked' ran in 2 threads at once and lacks @thread_safe_method" in told[0]


@pytest.mark.parametrize(("marked", "reports"), [(True, 0), (False, 1)])
def test_of_tools_that_nobody_listed_the_dispatcher_says_it(marked: bool, reports: int) -> None:
    class Dispatching:
        __thread_safe__ = True

        def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> None:
            """Has every tool there is."""

    if marked:
        thread_safe_method(Dispatching.execute_tool)
    live = LiveAdapter(Dispatching, {}, WorkerInfo("p", 0, 1))
    told: list[str] = []
    checks = Checks(live, told.append)
    with checks.inside("anything"), checks.inside("anything"):
        pass
    assert len(told) == reports
    live.close()


def test_a_class_that_allows_no_watching_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    class Final(Guarded):
        def __init_subclass__(cls) -> None:
            raise TypeError("no subclasses")

    told: list[str] = []
    live = LiveAdapter(Final, {}, WorkerInfo("p", 0, 1))
    Checks(live, told.append)
    assert told == [f"attributes of {Final.__qualname__} cannot be watched: no subclasses"]
    live.close()
