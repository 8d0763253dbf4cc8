"""Adapters as people wrote them for the original Snakepit, unchanged, in real workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snakepit import RemoteError

from .conftest import until

DATA = str(Path(__file__).parents[1] / "data")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DATA)


@pytest.fixture(params=["native", "grpcio", "inline"])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The worker's end of the line, or none."""
    if request.param == "grpcio":
        pytest.importorskip("grpc", reason="the end in pure Python needs grpcio")
    if request.param == "inline":
        return {"inline": True}
    return {"size": 1, "line": request.param}


def test_an_adapter_that_dispatches_by_itself(make_pool: Any, where: dict[str, Any]) -> None:
    with make_pool("original.dispatching:InventoryAdapter", **where) as pool:
        assert pool.execute("ping") == {"status": "ok", "message": "pong", "initialized": True}
        assert pool.execute("add_stock", {"item": "bolt", "amount": 5}) == {
            "item": "bolt",
            "stock": 5,
        }
        assert pool.execute("reserve", {"item": "bolt", "amount": 2}) is True, "a coroutine"
        assert pool.execute("count") == 3, "one adapter a worker: what it holds stays"
        with pool.session("s1") as session:
            assert session.execute("whoami") == {
                "context": "s1",
                "attribute": "s1",
                "metadata": {},
                "calls": 5,
            }
        with pytest.raises(ValueError, match="Unknown tool: melt"):
            pool.execute("melt")
        assert list(pool.execute_stream("count")) == [3], "one chunk"


def test_an_adapter_that_streams(make_pool: Any, where: dict[str, Any]) -> None:
    with make_pool("original.streaming:ProgressAdapter", **where) as pool:
        assert list(pool.execute_stream("progress", {"steps": 2})) == [
            {"step": 1, "progress": 50.0},
            {"step": 2, "progress": 100.0},
        ]
        assert list(pool.execute_stream("ticks")) == [{"tick": i} for i in range(3)]
        assert list(pool.execute_stream("table")) == [[0, 0], [1, 1]]
        assert list(pool.execute_stream("stream_data", {"count": 1})) == [
            {"step": 1, "progress": 100.0}
        ]
        assert pool.execute("process_text", {"text": "abc"})["result"] == "ABC"
        with pool.session("s2") as session:
            assert session.execute("echo", {"a": [1]}) == {"echo": {"a": [1]}, "session": "s2"}
            assert session.execute("summary") == {"session": "s2", "tools": 6}
        with pytest.raises(RemoteError, match="'ticks' streams its results: use execute_stream"):
            pool.execute("ticks")

        with pool.execute_stream("endless") as endless:
            assert next(endless) == {"number": 0}
        until(lambda: pool.execute("closed") == 1, "the generator's finally runs")

        about = pool.execute("about")
        assert about["marked"] == ["about", "echo", "process_text", "stream_data"]
        registered = {name: rest for name, *rest in about["registered"]}
        assert registered["stream_data"] == [True, [["count", "int", False]]]
        assert registered["process_text"][0] is False


def test_decorated_methods_may_yield_chunks(make_pool: Any, where: dict[str, Any]) -> None:
    with make_pool("original.streaming:DecoratedStreams", **where) as pool:
        assert list(pool.execute_stream("numbered", {"count": 1})) == [
            {"n": 0},
            {"status": "complete"},
        ]
        assert list(pool.execute_stream("numbered_later", {"count": 2})) == [{"n": 0}, {"n": 1}]


def test_what_an_adapter_logs_arrives_at_its_level(
    make_pool: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this program's standard error, where what workers write there goes."""
    monkeypatch.setenv("SNAKEPIT_LOG_LEVEL", "info")
    said: list[str] = []

    def arrived() -> bool:
        said.append(capfd.readouterr().err)
        return "ready, session None" in "".join(said)

    pool = make_pool("original.dispatching:InventoryAdapter", size=1)
    pool.execute("ping")
    until(arrived, "the adapter's line arrives")
    pool.close()
    text = "".join([*said, capfd.readouterr().err])
    assert "- INFO - [corr=-] ready" in text
    assert "took" not in text, "which it says at debug"


@pytest.mark.parametrize("line", ["native", "grpcio"])
def test_an_adapter_whose_calls_overlap(make_pool: Any, line: str) -> None:
    if line == "grpcio":
        pytest.importorskip("grpc", reason="the end in pure Python needs grpcio")
    pool = make_pool(
        "original.threaded:ScoringAdapter",
        size=1,
        line=line,
        profile="thread",
        threads_per_worker=4,
        thread_safety_checks=True,
    )
    sessions = [pool.session(f"s{number}") for number in range(4)]
    pauses = [session.submit("pause", {"seconds": 0.05}) for session in sessions * 3]
    assert [pause.result(60) for pause in pauses] == [session.id for session in sessions] * 3, (
        "whichever thread told the adapter of its session last"
    )
    scores = [pool.submit("score", {"text": "abba"}) for _ in range(20)]
    assert {score.result(60)["score"] for score in scores} == {6.0}
    told = pool.execute("statistics")
    assert told["tracker"]["total_requests"] == 33, "each call once"
    assert told["totals"]["requests"] == 20
    assert told["thread_safe"] is True
    assert pool.execute("clear_caches") is True
    # It marks all of its tools, and assigns `_session_context` without the lock, as it did there.
    assert {report.split("'")[1] for report in pool.info().workers[0].reports} <= {
        "_session_context"
    }
