"""Adapters as users write them: their life, their context, their kinds of tools."""

from __future__ import annotations

import pytest

from snakepit_bridge import BaseAdapter, SessionContext, WorkerInfo, __version__, tool

from .conftest import Start
from .fake_core import RemoteFailure, ToolMissing

# From the original's README, verbatim.
SEED = '''
# my_adapter.py
from snakepit_bridge import BaseAdapter, tool

class MyAdapter(BaseAdapter):
    def __init__(self):
        super().__init__()
        self.model = None

    async def initialize(self):
        """Called once when worker starts."""
        self.model = load_model()

    async def cleanup(self):
        """Called when worker shuts down."""
        self.model = None

    @tool(description="Run inference on input data")
    def predict(self, input_data: dict) -> dict:
        result = self.model.predict(input_data["text"])
        return {"prediction": result, "confidence": 0.95}

    @tool(description="Process with progress updates", supports_streaming=True)
    def batch_process(self, items: list):
        for i, item in enumerate(items):
            result = self.process_item(item)
            yield {"progress": (i + 1) / len(items) * 100, "result": result}
'''
SEED_WORLD = """
class Model:
    def predict(self, text):
        return text.upper()

def load_model():
    return Model()

MyAdapter.process_item = lambda self, item: item * 2
"""


def test_the_seeds_adapter_runs_verbatim(start: Start) -> None:
    host = start(SEED + SEED_WORLD, "MyAdapter")

    assert [told[:3] for told in host.await_ready()] == [
        ("predict", "Run inference on input data", False),
        ("batch_process", "Process with progress updates", True),
    ]
    assert host.call("predict", {"input_data": {"text": "hi"}}) == {
        "prediction": "HI",
        "confidence": 0.95,
    }
    assert host.stream("batch_process", {"items": [1, 2]}) == [
        {"progress": 50.0, "result": 2},
        {"progress": 100.0, "result": 4},
    ]
    assert host.drain() == 0
    assert host.bridge_version == __version__


def test_every_kind_of_tool_is_called_the_same_way(start: Start) -> None:
    host = start(
        """
        import asyncio
        from snakepit_bridge import BaseAdapter, tool

        class Adapter(BaseAdapter):
            @tool
            def plain(self, x): return ("plain", x)
            @tool
            async def coroutine(self, x):
                await asyncio.sleep(0)
                return ("coroutine", x)
            @tool
            def generator(self, n): yield from range(n)
            @tool
            async def async_generator(self, n):
                for i in range(n):
                    await asyncio.sleep(0)
                    yield i
            @tool(supports_streaming=True)
            def listed(self, n): return list(range(n))
            @tool(supports_streaming=True)
            async def listed_later(self, n): return list(range(n))
            @tool
            @staticmethod
            def static(x): return ("static", x)
            @classmethod
            @tool
            def of_class(cls, x): return (cls.__name__, x)
        """
    )
    streams = {name for name, _, streams, *_ in host.await_ready() if streams}
    unary = {"plain", "coroutine", "static", "of_class"}

    assert {name: host.call(name, {"x": 1}) for name in unary} == {
        "plain": ("plain", 1),
        "coroutine": ("coroutine", 1),
        "static": ("static", 1),
        "of_class": ("Adapter", 1),
    }
    assert streams == {"generator", "async_generator", "listed", "listed_later"}
    assert [host.stream(name, {"n": 3}) for name in streams] == [[0, 1, 2]] * 4


def test_lifecycle_hooks_run_once_and_in_order(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, tool
        seen = []

        class Adapter(BaseAdapter):
            def __init__(self, language, size=1): seen.append(("init", language, size))
            def initialize(self): seen.append("initialize")
            def cleanup(self): seen.append("cleanup")
            @tool
            def look(self): return seen
        """,
        arguments={"language": "en"},
    )
    host.await_ready()
    seen = host.call("look")
    assert seen == [("init", "en", 1), "initialize"]
    assert host.drain() == 0
    assert seen == [("init", "en", 1), "initialize", "cleanup"]


def test_a_failing_cleanup_is_shown_and_the_worker_still_ends_well(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter
        class Adapter(BaseAdapter):
            async def cleanup(self): raise OSError("disk full")
        """
    )
    host.await_ready()
    assert host.drain() == 0
    shown = capsys.readouterr().err
    assert "cleanup of the adapter failed" in shown
    assert "OSError: disk full" in shown


def test_a_worker_that_lost_its_host_exits_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakepit_bridge import _worker

    monkeypatch.setattr(_worker.os, "_exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    host = start(
        """
        from snakepit_bridge import BaseAdapter
        class Adapter(BaseAdapter):
            def cleanup(self): raise AssertionError("nobody waits for it")
        """
    )
    host.await_ready()
    assert host.vanish() == _worker.HOST_GONE


PLACE = """
from snakepit_bridge import BaseAdapter, tool
import threading

class Adapter(BaseAdapter):
    def __init__(self):  # no super().__init__(), as many forget
        found = []
        thread = threading.Thread(target=lambda: found.append(self.worker))
        thread.start()
        thread.join()
        self.early = [self.worker, found[0]]
    def initialize(self):
        self.context = self.session_context
    @tool
    def place(self):
        w = self.worker
        assert all(e is w for e in self.early)
        return (w.pool, w.slot, w.generation, w.device)
    @tool
    def context_of(self):
        c = self.session_context
        return (c.session_id, c.is_new, c.cancelled, c.remaining())
    @tool
    def context_of_initialize(self):
        c = self.context
        return (c.session_id, c.is_new, c.cancelled, c.remaining())
"""


def test_the_worker_is_known_from_the_first_line_of_init(start: Start) -> None:
    host = start(PLACE, pool="gpu", slot=3, generation=7, device="cuda:1")
    host.await_ready()
    assert host.call("place") == ("gpu", 3, 7, "cuda:1")


@pytest.mark.parametrize(
    ("device", "torch"),
    [("cuda:1", "cuda:0"), ("rocm:0", "cuda:0"), ("MIG-1", "cuda:0"), ("cpu", "cpu"), (None, None)],
    ids=["cuda", "rocm", "instance", "cpu", "none"],
)
def test_what_is_the_only_one_to_be_seen_is_the_first(
    device: str | None, torch: str | None
) -> None:
    assert WorkerInfo("pool", 1, 1, device).torch_device == torch


def test_session_context_is_never_none(start: Start) -> None:
    host = start(PLACE)
    host.await_ready()
    assert host.call("context_of") == (None, False, False, None)
    assert host.call("context_of_initialize", session="s") == (None, False, False, None)

    session_id, is_new, cancelled, remaining = host.call(
        "context_of", session="user_42", session_new=True, time_left=1000.0
    )
    assert (session_id, is_new, cancelled) == ("user_42", True, False)
    assert 900 < remaining <= 1000


def test_an_adapter_made_by_hand_can_be_tested() -> None:
    class Adapter(BaseAdapter):
        @tool
        def echo(self, x: int) -> int:
            return x

    adapter = Adapter()
    assert adapter.echo(1) == 1
    assert isinstance(adapter.session_context, SessionContext)
    assert isinstance(adapter.worker, WorkerInfo)
    assert adapter.worker.generation == 0
    with pytest.raises(TypeError, match="unexpected keyword"):
        Adapter(colour="red")


def test_any_class_with_tools_is_an_adapter(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import tool
        class Adapter:
            __slots__ = ()
            @tool
            def ping(self): return "pong"
        """
    )
    host.await_ready()
    assert host.call("ping") == "pong"
    assert host.drain() == 0


def test_an_unknown_tool_comes_with_the_closest_names(start: Start) -> None:
    host = start(SEED + SEED_WORLD, "MyAdapter")
    host.await_ready()
    with pytest.raises(ToolMissing) as caught:
        host.call("Predcit")
    assert caught.value.args[0] == ["predict"]


def test_a_failing_tool_shows_the_adapters_frames_only(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, tool
        class Adapter(BaseAdapter):
            @tool
            async def fail(self): return 1 / 0
            @tool(supports_streaming=True)
            def text(self): return "abc"
            @tool
            def leave(self): raise SystemExit(3)
            @tool
            async def leave_later(self): raise SystemExit(4)
        """
    )
    host.await_ready()
    with pytest.raises(RemoteFailure) as caught:
        host.call("fail")
    assert (caught.value.type_name, caught.value.message) == (
        "ZeroDivisionError",
        "division by zero",
    )
    assert "in fail" in caught.value.traceback
    assert "snakepit_bridge" not in caught.value.traceback

    with pytest.raises(RemoteFailure, match="must return an iterator of chunks; it returned str"):
        host.call("text")
    for tool_name, code in [("leave", "3"), ("leave_later", "4")]:
        with pytest.raises(RemoteFailure) as caught:
            host.call(tool_name)
        assert (caught.value.type_name, caught.value.message) == ("SystemExit", code)
    with pytest.raises(RemoteFailure, match="division by zero"):
        host.call("fail")  # The loop is still alive.
