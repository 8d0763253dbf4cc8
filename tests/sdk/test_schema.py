"""Parameters of tools as JSON Schema: what each annotation becomes, and what is said otherwise."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypeVar,
    Union,
)

import pytest

from snakepit_bridge import BaseAdapter, tool
from snakepit_bridge._adapter import OUTSIDE
from snakepit_bridge._docstring import parameter_texts
from snakepit_bridge._lifecycle import LiveAdapter
from snakepit_bridge._schema import parameters
from snakepit_bridge.errors import ToolError

if sys.version_info >= (3, 11):  # noqa: UP036 - the SDK is tested on 3.10, too
    from typing import NotRequired, Required, TypedDict, Unpack
else:
    from typing_extensions import NotRequired, Required, TypedDict, Unpack  # noqa: UP035

UserId = NewType("UserId", int)
Number = TypeVar("Number", int, float)


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Opaque(enum.Enum):
    IT = object()


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(NamedTuple):
    x: int
    name: str


@dataclasses.dataclass
class Node:
    value: int
    weight: float = 1.0
    children: list[Node] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=0, init=False)


class Options(TypedDict, total=False):
    depth: Required[int]
    mode: Literal["fast", "slow"]


class Extra(TypedDict):
    seed: int
    note: NotRequired[str]


class Weird:
    @property
    def __metadata__(self) -> Any:
        raise RuntimeError("asked")


class Bound:
    ge = 0
    max_length = 5


class Doc:
    documentation = "from Doc"


def of(annotation: Any) -> Any:
    def function(x: Any) -> None: ...

    function.__annotations__ = {"x": annotation}
    whole = schema(function)
    return whole["properties"]["x"]


def schema(function: Callable[..., Any], docstring: str = "") -> Any:
    return json.loads(parameters("Adapter.function", function, docstring))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (bytes, {"type": "string", "format": "binary"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (decimal.Decimal, {"type": ["number", "string"], "format": "decimal"}),
        (Path, {"type": "string", "format": "path"}),
        (list, {"type": "array"}),
        (list[Any], {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (tuple[()], {"type": "array", "maxItems": 0}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, Any], {"type": "object"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),  # noqa: PYI061
        (Colour, {"enum": ["red", 2]}),
        (Level, {"enum": [1, 2]}),
        (UserId, {"type": "integer"}),
        (Number, {"anyOf": [{"type": "integer"}, {"type": "number"}]}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[int, Doc(), Bound()],
            {"type": "integer", "description": "from Doc", "minimum": 0},
        ),
        (Annotated[str, Bound()], {"type": "string", "minimum": 0, "maxLength": 5}),
        ("int | None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Level | None, {"anyOf": [{"enum": [1, 2]}, {"type": "null"}]}),
    ],
)
def test_each_annotation_has_its_schema(annotation: Any, expected: Any) -> None:
    assert of(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (Callable[[int], int], "collections.abc.Callable has no JSON schema"),
        (complex, "builtins.complex has no JSON schema"),
        (5, "5 has no JSON schema"),
        ("Missing", "Missing has no JSON schema: NameError"),
        ("1 +", "1 + has no JSON schema: SyntaxError"),
        (Opaque, "Opaque has no JSON schema"),
        (Literal[b"x"], "has no JSON schema"),
        (Weird(), "has no JSON schema: RuntimeError"),
    ],
)
def test_what_has_no_schema_lets_all_pass_and_says_so(annotation: Any, told: str) -> None:
    found = of(annotation)
    assert list(found) == ["$comment"]
    assert told in found["$comment"]


def test_classes_with_members_are_defined_once_and_may_recur() -> None:
    def function(first: Node, options: Options, second: Node | None = None) -> None: ...

    whole = schema(function)
    assert whole["properties"]["first"] == {"$ref": "#/$defs/Node"}
    assert whole["properties"]["options"] == {"$ref": "#/$defs/Options"}
    assert whole["required"] == ["first", "options"]
    assert whole["$defs"] == {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "weight": {"type": "number", "default": 1.0},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["value"],
            "additionalProperties": False,
        },
        "Options": {
            "type": "object",
            "properties": {"depth": {"type": "integer"}, "mode": {"enum": ["fast", "slow"]}},
            "required": ["depth"],
        },
    }


def test_two_classes_of_one_name_are_told_apart() -> None:
    def other() -> type:
        @dataclasses.dataclass
        class Node:
            text: str

        return Node

    def function(one: Any, two: Any) -> None: ...

    function.__annotations__ = {"one": Node, "two": other()}
    whole = schema(function)
    assert whole["properties"]["two"] == {"$ref": "#/$defs/Node_2"}
    assert whole["$defs"]["Node_2"]["required"] == ["text"]


def test_a_named_tuple_travels_as_a_list() -> None:
    assert of(Place)["prefixItems"] == [{"type": "integer"}, {"type": "string"}]


def test_pydantic_tells_its_own_schema() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        name: str = pydantic.Field(description="who", max_length=5)

    def function(x: Any, y: Any, z: Any) -> None: ...

    limited = Annotated[int, pydantic.Field(gt=3, description="many")]
    function.__annotations__ = {"x": Model, "y": list[Model], "z": limited}
    whole = schema(function)
    own = whole["properties"]["x"]["properties"]["name"]
    assert own == {"description": "who", "maxLength": 5, "title": "Name", "type": "string"}
    assert whole["properties"]["y"]["items"]["required"] == ["name"]
    assert whole["properties"]["z"] == {
        "type": "integer",
        "exclusiveMinimum": 3,
        "description": "many",
    }


def test_defaults_are_shown_where_json_has_them() -> None:
    def function(
        a: int = 1,
        b: Any = ("x", [None, 2.5]),
        c: Any = object(),  # noqa: B008
        d: float = float("inf"),
        e: Colour = Colour.RED,
        *,
        f: int = None,  # type: ignore[assignment]  # noqa: RUF013
    ) -> None: ...

    whole = schema(function)
    assert "required" not in whole
    assert {name: told.get("default", "none") for name, told in whole["properties"].items()} == {
        "a": 1,
        "b": ["x", [None, 2.5]],
        "c": "none",
        "d": "none",
        "e": "red",
        "f": None,
    }
    assert whole["properties"]["f"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]


def test_keywords_without_a_name_are_further_properties() -> None:
    def none(a: int) -> None: ...
    def anything(a: int, *rest: int, **others: Any) -> None: ...
    def numbers(**others: int) -> None: ...
    def named(a: int, **others: Unpack[Extra]) -> None: ...

    assert schema(none)["additionalProperties"] is False
    assert schema(anything)["additionalProperties"] is True
    assert list(schema(anything)["properties"]) == ["a"]
    assert schema(numbers)["additionalProperties"] == {"type": "integer"}
    whole = schema(named)
    assert whole["additionalProperties"] is False
    assert whole["properties"]["seed"] == {"type": "integer"}
    assert whole["required"] == ["a", "seed"]


GOOGLE = """Does it.

Args:
    a (int): The first,
        and more: of it.
    *b: The second.
    unknown: Nothing.

Returns:
    a: no.
"""
SPHINX = """Does it.

:param int a: The first,
    and more: of it.
:param b: The second.
:returns: a
"""
NUMPY = """Does it.

Parameters
----------
a : int
    The first,
    and more: of it.
b
    The second.

Returns
-------
a
    no.
"""


@pytest.mark.parametrize("docstring", [GOOGLE, SPHINX, NUMPY], ids=["google", "sphinx", "numpy"])
def test_docstrings_tell_what_parameters_are(docstring: str) -> None:
    indented = docstring.replace("\n", "\n        ")
    for text in (docstring, indented):
        told = parameter_texts(text, ["a", "b"])
        assert told == {"a": "The first, and more: of it.", "b": "The second."}


def test_an_annotation_says_it_before_the_docstring() -> None:
    def function(a: Annotated[int, "mine"], b: int) -> None: ...

    whole = schema(function, GOOGLE)
    assert whole["properties"]["a"]["description"] == "mine"
    assert whole["properties"]["b"]["description"] == "The second."


class Callee:
    def __call__(self, x: int) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return wrapper


def test_whatever_can_be_called_is_read() -> None:
    class Adapter(BaseAdapter):
        @tool
        @wrapped
        def decorated(self, x: int) -> None: ...
        @tool
        @staticmethod
        def static(x: int) -> None: ...
        @tool
        @classmethod
        def of_class(cls, x: int) -> None: ...
        @tool
        async def later(self, x: int) -> None: ...
        @tool
        def replaced(self, y: int) -> None: ...

        def initialize(self) -> None:
            self.replaced = Callee()  # type: ignore[method-assign, assignment]

    live = LiveAdapter(Adapter, {}, OUTSIDE)
    for name, _, _, text, _ in live.listing:
        told = json.loads(text)
        assert told["properties"] == {"x": {"type": "integer"}}, name
        assert told["required"] == ["x"], name

    def two(x: int, y: str) -> None: ...

    assert schema(functools.partial(two, y="a"))["required"] == ["x"]
    assert schema(dict) == {"type": "object"}, "it does not tell"


def test_a_parameter_that_no_call_can_give_is_an_error() -> None:
    class Adapter(BaseAdapter):
        @tool
        def divide(self, a: int, /, b: int) -> float:
            return a / b

    with pytest.raises(ToolError, match=r"Adapter\.divide: parameter 'a' is positional-only"):
        LiveAdapter(Adapter, {}, OUTSIDE)

    def fine(a: int = 1, /, b: int = 2) -> None: ...

    assert list(schema(fine)["properties"]) == ["b"]


def test_schemas_of_plain_adapters_import_nothing_that_is_slow(tmp_path: Path) -> None:
    (tmp_path / "adapter.py").write_text(
        "from __future__ import annotations\n"
        "from snakepit_bridge import BaseAdapter, tool\n"
        "class Adapter(BaseAdapter):\n"
        "    @tool\n"
        "    def add(self, a: int, b: list[str] | None = None, **more: dict[str, float]) -> int:\n"
        '        """Adds.\n\n        Args:\n            a: one\n        """\n'
        "        return a\n"
    )
    program = (
        "import sys\n"
        "from adapter import Adapter\n"
        "from snakepit_bridge._lifecycle import LiveAdapter\n"
        "from snakepit_bridge._adapter import OUTSIDE\n"
        "LiveAdapter(Adapter, {}, OUTSIDE)\n"
        "slow = {'typing', 'inspect', 're', 'json', 'dataclasses', 'enum'}\n"
        "print(*sorted(slow & {*sys.modules}))"
    )
    import snakepit_bridge

    paths = [str(tmp_path), str(Path(snakepit_bridge.__file__).parent.parent)]
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {paths}\n{program}"]
    assert subprocess.check_output(command, text=True).split() == []
