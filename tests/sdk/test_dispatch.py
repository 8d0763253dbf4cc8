"""Adapters that dispatch by themselves: which calls they get, with what, what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit_bridge import BaseAdapter, tool
from snakepit_bridge import base_adapter as original
from snakepit_bridge._lifecycle import require_tools
from snakepit_bridge.errors import ToolError

from .conftest import Start
from .fake_core import RemoteFailure


def test_execute_tool_gets_what_no_tool_has(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, tool
        class Adapter(BaseAdapter):
            @tool
            def own(self, x): return ("own", x)
            def execute_tool(self, tool_name, arguments, context):
                return (tool_name, arguments, context.session_id)
        """
    )
    assert [row[:3] for row in host.await_ready()] == [("own", "", False)]
    assert host.call("own", {"x": 1}) == ("own", 1)
    assert host.call("other", {"x": 1, "self": 2}, session="s") == (
        "other",
        {"x": 1, "self": 2},
        "s",
    )
    assert host.stream("own_not") == ["own_not", {}, None], "a sequence is iterated"


def test_a_class_of_the_originals_base_dispatches_its_tools_as_well(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge.base_adapter import BaseAdapter, tool
        class Adapter(BaseAdapter):
            @tool(description="Doubles")
            def double(self, x): return 2 * x
            def execute_tool(self, tool_name, arguments, context):
                return {"checked": True, "value": self.call_tool(tool_name, **arguments)}
        """
    )
    assert [row[:3] for row in host.await_ready()] == [("double", "Doubles", False)]
    assert host.call("double", {"x": 2}) == {"checked": True, "value": 4}
    with pytest.raises(RemoteFailure, match="Tool 'triple' not found in Adapter"):
        host.call("triple")


def test_a_tool_named_execute_tool_is_a_tool(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import tool
        class Adapter:
            @tool
            def execute_tool(self, x): return x
        """
    )
    assert [row[:3] for row in host.await_ready()] == [("execute_tool", "", False)]
    assert host.call("execute_tool", {"x": 3}) == 3


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_the_callers_verb_decides_how_a_result_is_read(start: Start, kind: str) -> None:
    host = start(
        f"""
        from types import SimpleNamespace as Chunk
        def items(n):
            for i in range(n):
                yield i
        async def later(n):
            for i in range(n):
                yield Chunk(data=i, is_final=i == n - 1)
            yield Chunk(data=None, is_final=True)
        class Adapter:
            {kind} execute_tool(self, tool_name, arguments, context):
                return {{
                    "items": items(2),
                    "later": later(2),
                    "map": {{"a": 1}},
                    "text": "abc",
                    "nothing": None,
                    "chunk": Chunk(data={{"n": 1}}, is_final=True),
                    "list": [1, Chunk(data=None, is_final=False)],
                }}[tool_name]
        """
    )
    assert host.await_ready() == []
    assert host.stream("items") == [0, 1]
    assert host.stream("later") == [0, 1], "an empty last chunk is a mark, no item"
    assert host.stream("map") == [{"a": 1}]
    assert host.stream("text") == ["abc"]
    assert host.stream("nothing") == [None]
    assert host.stream("chunk") == [{"n": 1}]
    assert host.stream("list") == [1, None]
    assert host.call("map") == {"a": 1}
    assert host.call("list")[0] == 1
    for name in ("items", "later"):
        with pytest.raises(RemoteFailure, match=f"tool '{name}' streams its results") as caught:
            host.call(name)
        assert caught.value.type_name == "TypeError"


def test_a_stream_that_nobody_wants_any_more_is_closed(start: Start) -> None:
    host = start(
        """
        class Adapter:
            closed = 0
            def endless(self):
                try:
                    while True:
                        yield 1
                finally:
                    self.closed += 1
            async def endless_later(self):
                try:
                    while True:
                        yield 1
                finally:
                    self.closed += 1
            def execute_tool(self, tool_name, arguments, context):
                if tool_name == "closed":
                    return self.closed
                return getattr(self, tool_name)()
        """
    )
    for count, name in enumerate(["endless", "endless_later"], 1):
        chunks = host.begin(name, streaming=True).chunks()
        assert next(chunks) == 1
        chunks.close()
        assert host.call("closed") == count


def test_the_context_is_told_before_each_call_and_stays_right(start: Start) -> None:
    host = start(
        """
        import threading
        from snakepit_bridge import BaseAdapter, tool
        class Adapter(BaseAdapter):
            def __init__(self):
                self.told = []
                self.session_context = None
            def set_session_context(self, context):
                self.told.append(context.session_id)
                self.session_context = context
            @tool
            def ids(self):
                seen = []
                look = lambda: seen.append(self.session_context.session_id)
                thread = threading.Thread(target=look)
                thread.start()
                thread.join()
                return self.session_context.session_id, *seen, self.told
            @tool
            async def later(self): return self.session_context.session_id
            @tool
            def items(self): yield self.session_context.session_id
        """
    )
    host.await_ready()
    assert host.call("ids", session="a") == ("a", "a", ["a"])
    assert host.call("ids", session="b") == ("b", "b", ["a", "b"])
    assert host.call("later", session="c") == "c"
    assert host.stream("items") == [None]
    assert host.call("ids") == (None, None, ["a", "b", "c", None, None])


def test_a_context_that_is_kept_shows_the_call_that_runs(start: Start) -> None:
    """Whichever thread assigned it last: another one's call is never seen."""
    host = start(
        """
        kept = []
        class Adapter:
            def set_session_context(self, context): kept.append(context)
            def execute_tool(self, tool_name, arguments, context):
                return [each.session_id for each in kept]
        """
    )
    assert host.call("x", session="a") == ["a"]
    assert host.call("x", session="b") == ["b", "b"]


def test_the_bases_own_hooks_cost_nothing() -> None:
    from snakepit_bridge import _dispatch

    class Adapter(original.BaseAdapter):
        def method(self) -> None: ...

    adapter = Adapter()
    assert _dispatch.around(adapter, adapter.method, streams=False) == adapter.method
    assert _dispatch.registered(adapter) == []

    class Plain(BaseAdapter):
        def method(self) -> None: ...

    plain = Plain()
    assert _dispatch.around(plain, plain.method, streams=True) == plain.method


REGISTERED: list[tuple[str, Any, list[tuple[str, str, bool]]]] = [
    (
        "objects",
        [original.ToolRegistration("a", "First.\nSecond.", supports_streaming=True)],
        [("a", "First.", True)],
    ),
    ("maps", [{"name": "b"}], [("b", "", False)]),
    ("by name", {"c": object(), "d": {"description": "D"}}, [("c", "", False), ("d", "D", False)]),
    ("nothing", [], []),
]


@pytest.mark.parametrize(
    ("said", "listed"), [case[1:] for case in REGISTERED], ids=[case[0] for case in REGISTERED]
)
def test_what_get_tools_says_is_listed(said: Any, listed: Any) -> None:
    from snakepit_bridge._dispatch import registered

    class Adapter:
        def get_tools(self) -> Any:
            return said

    assert registered(Adapter()) == listed


@pytest.mark.parametrize("broken", ["1 / 0", "[object()]", "7", "[{'name': 3}]"])
def test_a_listing_that_cannot_be_had_is_told_of(
    start: Start, broken: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = start(
        f"""
        class Adapter:
            def get_tools(self): return {broken}
            def execute_tool(self, tool_name, arguments, context): return tool_name
        """
    )
    assert host.await_ready() == []
    assert host.call("x") == "x"
    assert "Adapter.get_tools(): " in capfd.readouterr().err


def test_what_is_no_adapter_says_what_one_has() -> None:
    class Nothing:
        execute_tool = None

    with pytest.raises(ToolError, match="no @tool method, no execute_tool"):
        require_tools(Nothing)


def test_what_an_adapter_assigns_shows_where_no_call_runs() -> None:
    from snakepit_bridge import SessionContext

    adapter = BaseAdapter()
    assert adapter.session_context.session_id is None
    stand_in = SessionContext()
    adapter.session_context = stand_in
    assert adapter.session_context is stand_in
    adapter.session_context = None
    assert adapter.session_context.session_id is None


def test_the_originals_decorator_takes_its_parameters() -> None:
    class Adapter(original.BaseAdapter):
        @original.tool("Given", True, ["language"])
        def streams(self) -> Any:
            return iter(())

        @original.tool(description="Says False", supports_streaming=False)
        def generates(self) -> Any:
            yield 1

        @original.tool
        def bare(self, x: int, y: list[Any] = [1]) -> None:  # noqa: B006
            """First line.

            More.
            """

        @tool
        def new(self) -> None: ...

    rows = [(d.name, d.description, d.streams) for d in require_tools(Adapter)]
    assert rows == [
        ("streams", "Given", True),
        ("generates", "Says False", True),
        ("bare", "First line.", False),
        ("new", "", False),
    ]
    metadata = Adapter.streams._tool_metadata  # type: ignore[attr-defined]
    assert (metadata.description, metadata.required_variables) == ("Given", ["language"])
    registered = {each.name: each for each in Adapter().get_tools()}
    assert list(registered) == [row[0] for row in rows]
    x, y = registered["bare"].parameters
    assert (x.name, x.type, x.required, x.validation_json) == ("x", "int", True, "")
    assert (y.name, y.required, y.validation_json) == ("y", False, '{"default": [1]}')


def test_call_tool_names_what_is_missing() -> None:
    adapter = original.BaseAdapter()
    adapter.number = 3  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="Tool 'absent' not found in BaseAdapter"):
        adapter.call_tool("absent")
    with pytest.raises(TypeError, match="'number' is not a callable tool"):
        adapter.call_tool("number")
    assert adapter.session_id is None
