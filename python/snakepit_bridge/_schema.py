"""A tool's parameters as JSON Schema (2020-12), from its signature, annotations and docstring.

What becomes of an annotation is ``_annotation``'s. Made once, when a worker is ready, so it has to
be cheap: nothing is imported here that the adapter has not imported itself, save for a callable
that is no plain function.
"""

from __future__ import annotations

import sys

from ._docstring import parameter_texts
from ._signature import NOTHING, read
from .errors import ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UNKNOWN = '{"type":"object"}'
"""Of a callable that does not tell its signature: any keywords may be."""

_MOST_DEFAULTS = 100
"""Items of a default that is shown."""


def parameters(where: str, tool: Callable[..., Any], docstring: str) -> str:
    """Return the schema of a bound tool's keywords as JSON.

    Args:
        where: Names the tool in errors, ``Adapter.method``.
        tool: What is going to be called.
        docstring: May tell what the parameters are.

    Raises:
        ToolError: It has to be given a parameter that keywords cannot give.
    """
    signature = read(tool)
    if signature is None:
        return UNKNOWN
    if signature.unreachable is not None:
        raise ToolError(
            f"{where}: parameter {signature.unreachable!r} is positional-only, and calls pass "
            "arguments by keyword; remove the `/` behind it, or give it a default"
        )
    if not signature.annotations:
        types = None
    else:
        from ._annotation import Annotations

        types = Annotations(signature.module)
    texts = parameter_texts(docstring, signature.names) if docstring else {}

    properties: dict[str, Any] = {}
    for name in signature.names:
        annotation = signature.annotations.get(name, NOTHING)
        schema = {} if types is None or annotation is NOTHING else types.schema(annotation)
        if name in texts and "description" not in schema:
            schema = {**schema, "description": texts[name]}
        if name in signature.defaults:
            default = plain(signature.defaults[name])
            if default is None and not _admits_null(schema):
                # ``limit: int = None`` means either, as it did before there were unions.
                schema = {"anyOf": [schema, {"type": "null"}]}
            if default is not NOTHING:
                schema = {**schema, "default": default}
        properties[name] = schema
    required = [name for name in signature.names if name not in signature.defaults]

    whole: dict[str, Any] = {"type": "object", "properties": properties}
    others: Any = signature.others is not None
    if signature.others is not None and types is not None:
        annotation = signature.annotations.get(signature.others, NOTHING)
        if annotation is not NOTHING:
            others = types.keywords(annotation, properties, required)
    if required:
        whole["required"] = required
    whole["additionalProperties"] = others
    if types is not None and types.definitions:
        whole["$defs"] = types.definitions
    return dumps(whole)


def _admits_null(schema: dict[str, Any]) -> bool:
    if schema.get("type") == "null" or None in schema.get("enum", ()):
        return True
    if "anyOf" in schema:
        return any(map(_admits_null, schema["anyOf"]))
    # Without a word about the type anything may be.
    return not {"type", "enum", "const", "$ref", "oneOf", "allOf"} & set(schema)


def plain(value: Any, left: int = _MOST_DEFAULTS) -> Any:
    """Return a default as JSON has it; ``NOTHING`` where it has none."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if value - value == 0 else NOTHING  # Neither infinity nor NaN is JSON.
    if kind in (list, tuple) and len(value) <= left:
        items = [plain(item, left // 4) for item in value]
        return NOTHING if any(item is NOTHING for item in items) else items
    if kind is dict and len(value) <= left and all(type(key) is str for key in value):
        members = {key: plain(item, left // 4) for key, item in value.items()}
        return NOTHING if any(item is NOTHING for item in members.values()) else members
    # Only a member of an Enum has both; its class is there, so is the module.
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return plain(value.value, left)
    return NOTHING


def dumps(value: Any) -> str:
    """Return the text of what ``plain`` lets pass, and of schemas.

    ``json`` itself imports ``re``, which takes longer than all the schemas of an adapter.
    """
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)):
        return repr(value + 0)  # Of a subclass, too: the number.
    if isinstance(value, dict):
        members = (f"{_quoted(str(key))}:{dumps(item)}" for key, item in value.items())
        return "{" + ",".join(members) + "}"
    return "[" + ",".join(map(dumps, value)) + "]"


try:
    from _json import encode_basestring_ascii as _quoted
except ImportError:  # An interpreter without the accelerator.

    def _quoted(text: str, /) -> str:
        from json import dumps

        return dumps(text)
