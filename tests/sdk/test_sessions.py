"""What a worker keeps for sessions, and how it is dropped; without a line."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from snakepit_bridge import BaseAdapter, SessionContext, tool
from snakepit_bridge._adapter import WorkerInfo
from snakepit_bridge._context import current
from snakepit_bridge._lifecycle import LiveAdapter
from snakepit_bridge._sessions import Sessions


class Ending(BaseAdapter):
    def __init__(self) -> None:
        self.ended: list[Any] = []

    def session_closed(self, session_id: str) -> None:
        context = self.session_context
        self.ended.append((session_id, context.session_id, context.generation, context.state))
        assert (context.is_new, context.cancelled, context.remaining()) == (False, False, None)
        assert context.metadata == {}


def live(adapter: type) -> tuple[Sessions, Any]:
    sessions = Sessions()
    alive = LiveAdapter(adapter, {}, WorkerInfo("p", 0, 1))
    sessions.closed = alive.session_closed
    return sessions, alive.adapter


def test_a_session_is_new_once_and_has_one_dict() -> None:
    sessions = Sessions()
    assert [sessions.begin(1, "u"), sessions.begin(1, "u"), sessions.begin(2, "u")] == [
        True,
        False,
        True,
    ]
    state = sessions.state(1)
    state["k"] = 1
    assert sessions.state(1) is state
    assert sessions.state(2) == {}, "the id's next life knows nothing of it"


def test_threads_that_are_the_first_get_the_same_dict() -> None:
    sessions = Sessions()
    sessions.begin(1, "u")
    gate, seen = threading.Barrier(8), []

    def look() -> None:
        gate.wait()
        seen.append(sessions.state(1))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(state) for state in seen}) == 1


def test_the_adapter_is_told_while_the_state_is_there() -> None:
    sessions, adapter = live(Ending)
    sessions.begin(7, "u")
    sessions.state(7)["k"] = 1
    sessions.end(7)
    assert adapter.ended == [("u", "u", 7, {"k": 1})]
    assert current.get() is None
    sessions.end(7)
    sessions.end(8)
    assert len(adapter.ended) == 1, "what has ended, and what never was, ends nothing"
    sessions.state(7)["leak"] = True
    assert sessions.state(7) == {}, "a thread that outlived it keeps nothing here"


def test_with_the_worker_all_sessions_end_in_their_order() -> None:
    sessions, adapter = live(Ending)
    for generation, name in [(3, "a"), (5, "b"), (4, "a")]:
        sessions.begin(generation, name)
    sessions.end_all()
    assert [generation for _, _, generation, _ in adapter.ended] == [3, 5, 4]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), KeyboardInterrupt()])
def test_what_the_hook_raises_is_told_and_harms_nobody(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(BaseAdapter):
        def session_closed(self, session_id: str) -> None:
            raise error

    sessions, _ = live(Broken)
    sessions.begin(1, "u")
    sessions.end(1)
    assert sessions.begin(1, "u"), "it has ended all the same"
    said = capsys.readouterr().err
    assert "session_closed('u') of the adapter failed" in said
    assert type(error).__name__ in said


def test_an_adapter_needs_no_hook() -> None:
    class Plain:
        @tool
        def ping(self) -> None:
            """Some tool, since any class with tools will do."""

    sessions, _ = live(Plain)
    sessions.begin(1, "u")
    sessions.end(1)
    assert sessions.begin(1, "u")


def test_outside_of_a_session_there_is_none() -> None:
    context = SessionContext()
    assert (context.generation, context.metadata) == (0, {})
    with pytest.raises(RuntimeError, match="belongs to no session"):
        _ = context.state
