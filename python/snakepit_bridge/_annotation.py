"""What an annotation is in JSON Schema. Loaded for adapters that have annotations at all.

Names of types are looked up in tables, and classes of a library asked for only where somebody has
imported it: no annotation can be of a module that is not there. What has no schema becomes ``{}``,
which everything is, with a ``$comment`` that tells which annotation it was.
"""

from __future__ import annotations

import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_NAMED: dict[str, dict[str, Any]] = {
    "builtins.str": {"type": "string"},
    "builtins.int": {"type": "integer"},
    "builtins.float": {"type": "number"},
    "builtins.bool": {"type": "boolean"},
    "builtins.NoneType": {"type": "null"},
    "builtins.object": {},
    "typing.Any": {},
    "builtins.bytes": {"type": "string", "format": "binary"},
    "builtins.bytearray": {"type": "string", "format": "binary"},
    "builtins.memoryview": {"type": "string", "format": "binary"},
    "collections.abc.Buffer": {"type": "string", "format": "binary"},
    "datetime.datetime": {"type": "string", "format": "date-time"},
    "datetime.date": {"type": "string", "format": "date"},
    "datetime.time": {"type": "string", "format": "time"},
    "datetime.timedelta": {"type": "string", "format": "duration"},
    "uuid.UUID": {"type": "string", "format": "uuid"},
    "decimal.Decimal": {"type": ["number", "string"], "format": "decimal"},
    "pathlib.Path": {"type": "string", "format": "path"},
    "pathlib.PurePath": {"type": "string", "format": "path"},
    "os.PathLike": {"type": "string", "format": "path"},
    "numbers.Integral": {"type": "integer"},
    "numbers.Real": {"type": "number"},
    "numbers.Number": {"type": "number"},
}

_ARRAYS = frozenset(
    {
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "builtins.frozenset",
        "collections.deque",
        "collections.abc.Sequence",
        "collections.abc.MutableSequence",
        "collections.abc.Collection",
        "collections.abc.Container",
        "collections.abc.Iterable",
        "collections.abc.Set",
        "collections.abc.MutableSet",
    }
)
_SETS = frozenset(
    {"builtins.set", "builtins.frozenset", "collections.abc.Set", "collections.abc.MutableSet"}
)
_OBJECTS = frozenset(
    {
        "builtins.dict",
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.abc.Mapping",
        "collections.abc.MutableMapping",
    }
)
_BOUNDS = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
)

_DEPTH = 64
"""Annotations inside each other; aliases may go round in a circle."""


class Annotations:
    """Schemas of the annotations of one tool, with the definitions that they share."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.definitions: dict[str, Any] = {}
        self._module = module
        self._names: dict[Any, str] = {}
        self._depth = 0

    def schema(self, annotation: Any) -> dict[str, Any]:
        """Return the schema of an annotation; never raises."""
        if self._depth >= _DEPTH:
            return {}
        self._depth += 1
        try:
            return self._schema(annotation)
        except Exception as error:
            # What somebody's type does when it is asked is no reason not to serve.
            return _unsaid(annotation, f": {type(error).__name__}")
        finally:
            self._depth -= 1

    def keywords(self, annotation: Any, properties: dict[str, Any], required: list[str]) -> Any:
        """Return what further keywords may be: the annotation of ``**keywords``.

        ``Unpack`` of a TypedDict names them; they join ``properties`` and ``required``.
        """
        annotation = self._evaluated(annotation)
        if _name(getattr(annotation, "__origin__", None)) not in _UNPACKS:
            return self.schema(annotation) or True
        typed = annotation.__args__[0]
        members, needed = self._members(typed)
        properties.update(members)
        required += needed
        return False

    def _evaluated(self, annotation: Any) -> Any:
        reference = getattr(annotation, "__forward_arg__", None)
        if isinstance(reference, str):
            annotation = reference
        if not isinstance(annotation, str):
            return annotation
        # As ``typing.get_type_hints`` does. It is the adapter's own source.
        return eval(annotation, self._module)

    def _schema(self, annotation: Any) -> dict[str, Any]:
        annotation = self._evaluated(annotation)
        if annotation is None:
            return {"type": "null"}
        if isinstance(annotation, str):
            return self.schema(annotation)
        metadata = getattr(annotation, "__metadata__", None)
        if metadata is not None:
            return self._annotated(annotation, metadata)
        if (alias := getattr(annotation, "__value__", None)) is not None and not isinstance(
            annotation, type
        ):
            return self.schema(alias)  # type X = …
        if (base := getattr(annotation, "__supertype__", None)) is not None:
            return self.schema(base)  # NewType
        origin = getattr(annotation, "__origin__", None)
        if origin is not None:
            return self._generic(annotation, origin, annotation.__args__)
        if type(annotation) is getattr(types, "UnionType", None):
            return self._union(annotation.__args__)
        if isinstance(annotation, type):
            return self._class(annotation)
        if _name(type(annotation)) == "typing.TypeVar":
            constraints = annotation.__constraints__
            if constraints:
                return self._union(constraints)
            bound = annotation.__bound__
            return {} if bound is None else self.schema(bound)
        if _name(annotation) == "typing.Any" or repr(annotation) == "typing.Any":
            return {}
        return _unsaid(annotation)

    def _generic(self, annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        name = _name(origin)
        if name in ("typing.Union", "types.UnionType"):
            return self._union(arguments)
        if name in _WRAPPERS:
            return self.schema(arguments[0])
        if name in _LITERALS:
            return _choice(annotation, arguments)
        if name == "builtins.tuple":
            return self._tuple(arguments)
        if name in _ARRAYS:
            schema: dict[str, Any] = {"type": "array"}
            if items := self.schema(arguments[0]):
                schema["items"] = items
            return {**schema, "uniqueItems": True} if name in _SETS else schema
        if name in _OBJECTS:
            schema = {"type": "object"}
            # Keys that are no texts travel, but JSON Schema has no words for them.
            members = self.schema(arguments[1]) if len(arguments) == 2 else {}
            return {**schema, "additionalProperties": members} if members else schema
        return self._schema(origin)

    def _union(self, members: Iterable[Any]) -> dict[str, Any]:
        branches: list[dict[str, Any]] = []
        for member in members:
            schema = self.schema(member)
            if schema not in branches:
                branches.append(schema)
        return branches[0] if len(branches) == 1 else {"anyOf": branches}

    def _tuple(self, members: tuple[Any, ...]) -> dict[str, Any]:
        if len(members) == 2 and members[1] is Ellipsis:
            items = self.schema(members[0])
            return {"type": "array", "items": items} if items else {"type": "array"}
        if not members or members == ((),):
            return {"type": "array", "maxItems": 0}
        first = [self.schema(member) for member in members]
        exactly = len(first)
        return {"type": "array", "prefixItems": first, "minItems": exactly, "maxItems": exactly}

    def _annotated(self, annotation: Any, metadata: tuple[Any, ...]) -> dict[str, Any]:
        pydantic = sys.modules.get("pydantic")
        if pydantic is not None and any(
            type(each).__module__.partition(".")[0] == "pydantic" for each in metadata
        ):
            return self._pydantic(lambda template: _adapted(pydantic, annotation, template))
        schema = dict(self.schema(annotation.__origin__))
        for each in metadata:
            if isinstance(each, str):
                schema["description"] = each
                continue
            # ``Doc`` of typing_extensions, ``Field``-like objects, and annotated_types.
            text = getattr(each, "documentation", None) or getattr(each, "description", None)
            if isinstance(text, str):
                schema["description"] = text
            for attribute, word in _BOUNDS:
                bound = getattr(each, attribute, None)
                if isinstance(bound, (int, float)) and not isinstance(bound, bool):
                    schema[word] = bound
            unit = "Length" if schema.get("type") == "string" else "Items"
            for attribute, word in (("min_length", "min"), ("max_length", "max")):
                length = getattr(each, attribute, None)
                if isinstance(length, int) and schema.get("type") in ("string", "array"):
                    schema[word + unit] = length
        return schema

    def _class(self, kind: type) -> dict[str, Any]:
        name = _name(kind)
        if (known := _NAMED.get(name)) is not None:
            return dict(known)
        if name in _ARRAYS:
            return {"type": "array", "uniqueItems": True} if name in _SETS else {"type": "array"}
        if name in _OBJECTS:
            return {"type": "object"}
        if callable(getattr(kind, "model_json_schema", None)):
            return self._pydantic(lambda template: kind.model_json_schema(ref_template=template))  # type: ignore[attr-defined]
        if "__dataclass_fields__" in vars(kind):
            return self._defined(kind, self._dataclass)
        if "__total__" in vars(kind) and issubclass(kind, dict):
            return self._defined(kind, self._typed_dict)
        enum = sys.modules.get("enum")
        if enum is not None and issubclass(kind, enum.Enum):
            return _choice(kind, [member.value for member in kind])  # type: ignore[attr-defined]
        if isinstance(getattr(kind, "_fields", None), tuple) and issubclass(kind, tuple):
            annotations = getattr(kind, "__annotations__", {})
            return self._tuple(tuple(annotations.get(f, object) for f in kind._fields))  # type: ignore[attr-defined]
        return self._ancestor(kind)

    def _ancestor(self, kind: type) -> dict[str, Any]:
        for base in kind.__mro__[1:-1]:
            if (known := _NAMED.get(_name(base))) is not None:
                return dict(known)
            if _name(base) in _ARRAYS:
                return {"type": "array"}
            if _name(base) in _OBJECTS:
                return {"type": "object"}
        numbers = sys.modules.get("numbers")  # numpy's scalars are registered there
        if numbers is not None and issubclass(kind, numbers.Real):
            return {"type": "integer" if issubclass(kind, numbers.Integral) else "number"}
        return _unsaid(kind)

    # --- classes with members -------------------------------------------------------------------

    def _defined(self, kind: type, make: Callable[[type], dict[str, Any]]) -> dict[str, Any]:
        """A reference to the definition of a class, which is made once: classes may recur."""
        name = self._names.get(kind)
        if name is None:
            name = self._free(kind.__name__)
            self._names[kind] = name
            self.definitions[name] = {}
            outer, self._module = self._module, _globals(kind, self._module)
            try:
                self.definitions[name] = make(kind)
            finally:
                self._module = outer
        return {"$ref": f"#/$defs/{name}"}

    def _free(self, name: str) -> str:
        taken, number = name, 1
        while taken in self.definitions:
            number += 1
            taken = f"{name}_{number}"
        return taken

    def _dataclass(self, kind: Any) -> dict[str, Any]:
        from ._schema import plain
        from ._signature import NOTHING

        dataclasses = sys.modules["dataclasses"]
        properties, required = {}, []
        for field in dataclasses.fields(kind):
            if not field.init:
                continue
            schema = self.schema(field.type)
            if field.default is not dataclasses.MISSING:
                default = plain(field.default)
                schema = schema if default is NOTHING else {**schema, "default": default}
            elif field.default_factory is dataclasses.MISSING:
                required.append(field.name)
            properties[field.name] = schema
        whole: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            whole["required"] = required
        whole["additionalProperties"] = False
        return whole

    def _typed_dict(self, kind: type) -> dict[str, Any]:
        properties, required = self._members(kind)
        whole: dict[str, Any] = {"type": "object", "properties": properties}
        return {**whole, "required": required} if required else whole

    def _members(self, kind: Any) -> tuple[dict[str, Any], list[str]]:
        """The members of a TypedDict, and those that have to be there."""
        properties, required = {}, []
        for name, annotation in kind.__annotations__.items():
            annotation = self._evaluated(annotation)
            properties[name] = self.schema(annotation)
            needed = name in kind.__required_keys__
            # Written as texts, these were not seen when the class was made.
            wrapper = _name(getattr(annotation, "__origin__", None)).rpartition(".")[2]
            if wrapper in ("Required", "NotRequired"):
                needed = wrapper == "Required"
            if needed:
                required.append(name)
        return properties, required

    def _pydantic(self, make: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """What pydantic itself says, its definitions among ours."""
        schema = dict(make("#/$defs/{model}"))
        definitions = schema.pop("$defs", {})
        clashes = [n for n, d in definitions.items() if self.definitions.get(n, d) != d]
        if clashes:
            prefix = self._free("pydantic")
            self.definitions[prefix] = {}
            schema = dict(make(f"#/$defs/{prefix}_{{model}}"))
            named = schema.pop("$defs", {})
            definitions = {f"{prefix}_{name}": told for name, told in named.items()}
        self.definitions.update(definitions)
        return schema


_UNPACKS = frozenset({"typing.Unpack", "typing_extensions.Unpack"})
_LITERALS = frozenset({"typing.Literal", "typing_extensions.Literal"})
_WRAPPERS = frozenset(
    f"{module}.{name}"
    for module in ("typing", "typing_extensions")
    for name in ("Final", "ClassVar", "Required", "NotRequired", "ReadOnly")
) | {"dataclasses.InitVar"}


def _adapted(pydantic: Any, annotation: Any, template: str) -> dict[str, Any]:
    schema: dict[str, Any] = pydantic.TypeAdapter(annotation).json_schema(ref_template=template)
    return schema


def _choice(annotation: Any, values: Iterable[Any]) -> dict[str, Any]:
    from ._schema import plain
    from ._signature import NOTHING

    enumerated = [plain(value) for value in values]
    if any(value is NOTHING for value in enumerated):
        return _unsaid(annotation)
    return {"enum": enumerated}


def _globals(kind: type, otherwise: dict[str, Any]) -> dict[str, Any]:
    module = sys.modules.get(kind.__module__)
    return otherwise if module is None else vars(module)


def _name(kind: Any) -> str:
    """``module.Name``, by where the class is said to be."""
    name = getattr(kind, "__qualname__", None) or getattr(kind, "_name", None) or ""
    module = getattr(kind, "__module__", "")
    # pathlib has been a package since 3.13; typing's special forms have a name of their own.
    if module.startswith("pathlib."):
        module = "pathlib"
    return f"{module}.{name}"


def _unsaid(annotation: Any, why: str = "") -> dict[str, Any]:
    shown = _name(annotation) if isinstance(annotation, type) else str(annotation)
    return {"$comment": f"{shown[:200]} has no JSON schema{why}"}
