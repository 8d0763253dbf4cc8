"""Which methods are tools, under which name, and what is refused."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from snakepit_bridge import BaseAdapter, tool
from snakepit_bridge._collect import declarations
from snakepit_bridge._lifecycle import require_tools
from snakepit_bridge.errors import ToolError


def listing(adapter_class: type) -> list[tuple[str, str, bool]]:
    return [(d.name, d.description, d.streams) for d in declarations(adapter_class)]


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return wrapper


def test_names_and_descriptions_have_their_defaults() -> None:
    class Adapter:
        @tool
        def bare(self) -> None:
            """
            First line.

            More.
            """

        @tool(name="model.predict", description="Given")
        def _private_but_named(self) -> None:
            """Not used."""

        @tool()
        def silent(self) -> None: ...

        anonymous = tool(lambda self: None)

        def not_a_tool(self) -> None: ...

    assert listing(Adapter) == [
        ("bare", "First line.", False),
        ("model.predict", "Given", False),
        ("silent", "", False),
        ("anonymous", "", False),
    ]


def test_subclasses_inherit_override_and_take_away() -> None:
    class Base:
        @tool(description="Kept")
        def inherited(self) -> None: ...

        @tool(name="public", description="Described once")
        def overridden(self) -> None: ...

        @tool
        def marked_again(self) -> None:
            """Old."""

        @tool
        def becomes_a_stream(self) -> Any: ...

        @tool
        def documented_anew(self) -> Any:
            """Old."""

        @tool
        def gone(self) -> None: ...

    class Adapter(Base):
        def overridden(self) -> None: ...

        @tool(name="renamed", description="New")
        def marked_again(self) -> None: ...

        def becomes_a_stream(self) -> Any:
            yield 1

        def documented_anew(self) -> Any:
            """New."""

        gone = None  # type: ignore[assignment]

        @tool
        def added(self) -> None: ...

    assert listing(Adapter) == [
        ("inherited", "Kept", False),
        ("public", "Described once", False),
        ("renamed", "New", False),
        ("becomes_a_stream", "", True),
        ("documented_anew", "New.", False),
        ("added", "", False),
    ]


def test_mixins_follow_the_method_resolution_order() -> None:
    class Left:
        @tool(description="left")
        def both(self) -> None: ...

    class Right:
        @tool(description="right")
        def both(self) -> None: ...

    class Adapter(Left, Right): ...

    assert listing(Adapter) == [("both", "left", False)]


def test_marks_survive_other_decorators_either_way_round() -> None:
    class Adapter:
        @logged
        @tool
        def outside(self) -> None:
            """Doc."""

        @tool
        @logged
        def inside(self) -> None: ...

        @tool
        @logged
        async def coroutine(self) -> None: ...

        @logged
        @tool
        def generator(self) -> Any:
            yield 1

        @tool
        @functools.lru_cache  # noqa: B019
        def cached(self) -> None: ...

        def _power(self, exponent: int, x: int) -> int:
            return int(x**exponent)

        square = tool(functools.partialmethod(_power, 2))

    found = {d.name: d for d in declarations(Adapter)}
    assert set(found) == {"outside", "inside", "coroutine", "generator", "cached", "square"}
    assert found["outside"].description == "Doc."
    assert {name for name, d in found.items() if d.awaits} == {"coroutine"}
    assert {name for name, d in found.items() if d.streams} == {"generator"}
    assert not found["generator"].generates, "what the wrapper returns is anyone's guess"


def test_a_word_about_streaming_beats_the_shape() -> None:
    class Adapter:
        @tool(supports_streaming=True)
        def listed(self) -> list[int]:
            return []

        @tool(supports_streaming=False)
        @logged
        def wrapper_may_gather(self) -> Any:
            yield 1

    assert [d.streams for d in declarations(Adapter)] == [True, False]


def test_collecting_runs_no_code_of_the_user() -> None:
    class Trap:
        def __get__(self, *_: object) -> Any:
            raise AssertionError("descriptor was run")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("__getattr__ was run")

        @property
        def func(self) -> Any:
            raise AssertionError("property was run")

    class Adapter:
        trap = Trap()

        @property
        def connection(self) -> Any:
            raise AssertionError("property was run")

        @functools.cached_property
        def model(self) -> Any:
            raise AssertionError("property was run")

        @tool
        def ping(self) -> None: ...

    assert listing(Adapter) == [("ping", "", False)]


def private() -> type:
    class Adapter:
        @tool
        def _hidden(self) -> None: ...

    return Adapter


def badly_named() -> type:
    class Adapter:
        @tool(name="two words")
        def fine(self) -> None: ...

    return Adapter


def colliding() -> type:
    class Adapter:
        @tool
        def run(self) -> None: ...

        @tool(name="run")
        def run_fast(self) -> None: ...

    return Adapter


def property_over_tool() -> type:
    class Base:
        @tool
        def size(self) -> Any: ...

    class Adapter(Base):
        @property
        def size(self) -> Any: ...

    return Adapter


def generator_that_does_not_stream() -> type:
    class Adapter:
        @tool(supports_streaming=False)
        def items(self) -> Any:
            yield 1

    return Adapter


def lifecycle() -> type:
    class Adapter(BaseAdapter):
        @tool
        def cleanup(self) -> None: ...

    return Adapter


def toolless() -> type:
    class Config: ...

    return Config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (private, r"_hidden: '_hidden' cannot be a tool's name.*@tool\(name="),
        (badly_named, "fine: 'two words' cannot be a tool's name"),
        (colliding, "'run' and 'run_fast' are both tools named 'run'"),
        (property_over_tool, "size overrides a tool with a property"),
        (generator_that_does_not_stream, "items is a generator and so always streams"),
        (lifecycle, "cleanup cannot be a tool: the worker calls it itself"),
        (toolless, "Config is no adapter: it has no @tool method"),
    ],
)
def test_what_is_refused_names_the_mend(make: Any, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        require_tools(make())


def test_an_adapter_without_tools_is_a_beginning() -> None:
    class Adapter(BaseAdapter): ...

    assert require_tools(Adapter) == []


@pytest.mark.parametrize("wrong", [property(lambda self: 1), 3, "name", len])
def test_tool_refuses_what_is_no_method(wrong: Any) -> None:
    with pytest.raises(TypeError, match="@tool cannot mark"):
        tool(wrong)


def test_tool_leaves_the_function_alone() -> None:
    def method(self: Any) -> None: ...

    static = staticmethod(method)
    assert tool(method) is method
    assert tool(name="x")(method) is method
    assert tool(static) is static
