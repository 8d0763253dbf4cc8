"""Every Python snippet of the README of Snakepit 0.8.3, verbatim, in real workers."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .seed import MODEL, every_snippet, inside, snippet

Adapter = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """Writes a module with an adapter; its name is what a pool takes."""

    def write(source: str, name: str) -> str:
        module = f"seed_{next(_numbers)}"
        (tmp_path / f"{module}.py").write_text(source)
        return f"{module}:{name}"

    monkeypatch.syspath_prepend(str(tmp_path))
    return write


@pytest.fixture(params=["native", "grpcio"])
def line(request: pytest.FixtureRequest) -> str:
    """The worker's end of the line."""
    if request.param == "grpcio":
        pytest.importorskip("grpc", reason="the end in pure Python needs grpcio")
    return str(request.param)


def test_all_of_them_are_here() -> None:
    here = [
        snippet(heading)
        for heading in (
            "Creating an Adapter",
            "Thread-Safe Adapters (Python 3.13+)",
            "Session Context and Elixir Tool Calls",
            "Calling from Python",
            "Python Telemetry API",
        )
    ]
    assert here == every_snippet()


def test_creating_an_adapter(make_pool: Any, adapter: Adapter, line: str) -> None:
    world = MODEL + "MyAdapter.process_item = lambda self, item: item * 2\n"
    pool = make_pool(
        adapter(snippet("Creating an Adapter") + world, "MyAdapter"), size=1, line=line
    )
    assert pool.execute("predict", {"input_data": {"text": "hi"}}) == {
        "prediction": "HI",
        "confidence": 0.95,
    }
    assert list(pool.execute_stream("batch_process", {"items": [1, 2]})) == [
        {"progress": 50.0, "result": 2},
        {"progress": 100.0, "result": 4},
    ]


def test_thread_safe_adapters(make_pool: Any, adapter: Adapter, line: str) -> None:
    world = (
        MODEL
        + inside("config = {}\n", "class Configured(ThreadedAdapter):")
        + "    @tool\n    @thread_safe_method\n    def configured(self): return dict(self.config)\n"
    )
    source = adapter(snippet("Thread-Safe Adapters (Python 3.13+)") + world, "Configured")
    pool = make_pool(source, size=1, line=line, profile="thread", threads_per_worker=4)
    futures = [pool.submit("predict", {"text": text}) for text in ("a", "b") * 10]
    assert [future.result(60) for future in futures] == ["A", "B"] * 10
    assert pool.execute("update_config", {"config": {"level": 3}}) is None
    assert pool.execute("configured") == {"level": 3}


def test_session_context_and_tools_of_the_host(make_pool: Any, adapter: Adapter, line: str) -> None:
    source = "\n".join(
        [
            "from snakepit_bridge import BaseAdapter, tool",
            inside(snippet("Session Context and Elixir Tool Calls"), "class Hybrid(BaseAdapter):"),
            "    def process(self, data):",
            "        return {'data': data, 'session': self.session_context.session_id}",
        ]
    )
    pool = make_pool(adapter(source, "Hybrid"), size=1, line=line)
    asked: list[Any] = []

    def validate_data(data: dict[str, Any], schema: str) -> dict[str, Any]:
        asked.append((data, schema))
        return {"valid": bool(data), "errors": [] if data else ["empty"]}

    pool.register_tool("validate_data", validate_data)
    with pool.session("user_7") as session:
        assert session.execute("hybrid_process", {"data": {"a": 1}}) == {
            "data": {"a": 1},
            "session": "user_7",
        }
        assert session.execute("hybrid_process", {"data": {}}) == {"error": ["empty"]}
    assert asked == [({"a": 1}, "user"), ({}, "user")]


def test_calling_tools_of_the_host(make_pool: Any, adapter: Adapter, line: str) -> None:
    source = "\n".join(
        [
            "from snakepit_bridge import BaseAdapter, tool",
            "class Caller(BaseAdapter):",
            "    @tool",
            *inside(snippet("Calling from Python") + "return result\n", "def run(self):")
            .replace("\n", "\n    ")
            .join(("    ", ""))
            .splitlines(),
        ]
    )
    pool = make_pool(adapter(source, "Caller"), size=1, line=line)
    asked: list[Any] = []

    def calculate_hash(params: dict[str, Any]) -> dict[str, str]:
        asked.append(params)
        digest = hashlib.sha256(params["data"].encode()).hexdigest().upper()
        return {"hash": digest, "algorithm": "sha256"}

    pool.register_tool("calculate_hash", calculate_hash, params="mapping")
    result = pool.execute("run")
    assert result["hash"].startswith("2CF24DBA5FB0A30E")
    assert result["algorithm"] == "sha256"
    assert asked == [{"data": "hello"}] * 2, "once by name, once by the proxy"


def test_the_telemetry_api(make_pool: Any, adapter: Adapter, line: str) -> None:
    source = "\n".join(
        [
            "from snakepit_bridge import BaseAdapter, telemetry, tool",
            "def preprocess(data): return [each + 1 for each in data]",
            "class Telling(BaseAdapter):",
            "    @tool",
            "    def run(self, data: list):",
            "        seen = []",
            "        telemetry.subscribe(seen.append)",
            "        processed = emits(data)",
            "        rows = [[e.name, e.measurements, e.metadata, e.correlation_id] for e in seen]",
            "        return processed, rows",
            inside(snippet("Python Telemetry API") + "return processed\n", "def emits(data):"),
        ]
    )
    pool = make_pool(adapter(source, "Telling"), size=1, line=line)
    processed, (custom, start, stop) = pool.execute("run", {"data": [1, 2]})
    assert processed == [2, 3]
    assert custom == [
        "model.inference",
        {"latency_ms": 45, "tokens": 128},
        {"model": "gpt-4", "batch_size": 1},
        None,
    ]
    assert (start[0], start[2]) == ("data_processing.start", {"stage": "preprocessing"})
    assert (stop[0], stop[2]) == ("data_processing.stop", {"stage": "preprocessing"})
    assert stop[1]["duration"] > 0
    assert start[3] == stop[3] is not None
