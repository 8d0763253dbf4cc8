"""Which tools does a class declare? The rules of inheritance, naming and shape.

Looks at classes only and only at what their ``__dict__`` holds: no property, descriptor or
``__getattr__`` of the user runs. Calling the tools is ``_lifecycle``'s.
"""

from __future__ import annotations

from types import GetSetDescriptorType, MemberDescriptorType

from ._tool import MARK, THREAD_SAFE, ToolMark
from .errors import ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# Bits of ``code.co_flags``; ``inspect`` has names for them but costs milliseconds to import.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_DECIDED = _GENERATOR | _COROUTINE | _ASYNC_GENERATOR

_LONGEST_NAME = 64
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")

_LIFECYCLE = frozenset({"initialize", "cleanup"})


class Declaration:
    """One tool of a class."""

    __slots__ = (
        "attribute",
        "awaits",
        "description",
        "docstring",
        "generates",
        "name",
        "streams",
        "thread_safe",
    )

    def __init__(self, attribute: str, name: str, description: str, flags: int, own: int) -> None:
        self.attribute = attribute
        self.name = name
        self.description = description
        self.docstring = ""
        """All of it; tells about parameters."""
        self.awaits = bool(flags & (_COROUTINE | _ASYNC_GENERATOR))
        """May return something to await, or an async iterator: needs the loop."""
        self.streams = bool(flags & (_GENERATOR | _ASYNC_GENERATOR))
        self.generates = bool(own & _GENERATOR)
        """A plain generator function: what it returns can be pulled as it is."""
        self.thread_safe = self.awaits
        """May overlap with itself: it says so, or all of it runs on the loop's thread."""


def declarations(adapter_class: type) -> list[Declaration]:
    """The tools of ``adapter_class``, base classes first.

    Raises:
        ToolError: A name is private or taken twice, or a tool is not a method.
    """
    found: dict[str, Declaration] = {}
    for attribute in _attributes(adapter_class):
        declared = _declaration(adapter_class, attribute)
        if declared is None:
            continue
        twin = found.setdefault(declared.name, declared)
        if twin is not declared:
            raise ToolError(
                f"{adapter_class.__qualname__}: {twin.attribute!r} and {attribute!r} are both "
                f"tools named {declared.name!r}; give one of them another @tool(name=...)"
            )
    return list(found.values())


def _attributes(adapter_class: type) -> dict[str, None]:
    return {name: None for base in reversed(adapter_class.__mro__) for name in vars(base)}


def _declaration(adapter_class: type, attribute: str) -> Declaration | None:
    definitions = [vars(c)[attribute] for c in adapter_class.__mro__ if attribute in vars(c)]
    method = definitions[0]
    mark = next((m for m in map(_mark, definitions) if m is not None), None)
    if mark is None or method is None:
        return None

    where = f"{adapter_class.__qualname__}.{attribute}"
    if issubclass(type(method), property) or not (callable(method) or _inner(method)):
        raise ToolError(
            f"{where} overrides a tool with a {type(method).__name__}, which cannot be called; "
            f"make it a method, or write `{attribute} = None` to take the tool away"
        )
    if attribute in _LIFECYCLE:
        raise ToolError(f"{where} cannot be a tool: the worker calls it itself; rename the method")
    name = attribute if mark.name is None else mark.name
    if not is_tool_name(name):
        raise ToolError(
            f"{where}: {name!r} cannot be a tool's name; it is 1 to {_LONGEST_NAME} of the "
            "characters A-Z a-z 0-9 _ . - and begins with a letter or digit. Rename the method or "
            'say @tool(name="...")'
        )

    own, flags = _flags(method)
    if mark.supports_streaming is False and own & (_GENERATOR | _ASYNC_GENERATOR):
        raise ToolError(
            f"{where} is a generator and so always streams; drop supports_streaming=False, or "
            "return a list"
        )
    description = mark.description
    if description is None:
        description = next(filter(None, map(_first_line, definitions)), "")
    declared = Declaration(attribute, name, description, flags, own)
    declared.docstring = next(filter(None, map(_docstring, definitions)), "")
    if any(_get(layer, THREAD_SAFE) for layer in _layers(method)):
        declared.thread_safe = True
    if mark.supports_streaming is not None:
        declared.streams = mark.supports_streaming
    return declared


def is_tool_name(name: object) -> bool:
    """Whether a tool may be called that, a worker's or a host's."""
    return (
        isinstance(name, str)
        and 1 <= len(name) <= _LONGEST_NAME
        and name[0] not in "_.-"
        and _NAME_CHARACTERS.issuperset(name)
    )


def _mark(definition: object) -> ToolMark | None:
    for layer in _layers(definition):
        mark = _get(layer, MARK)
        if isinstance(mark, ToolMark):
            return mark
    return None


def _flags(method: object) -> tuple[int, int]:
    """Code flags of the method itself, and of the outermost layer whose flags say anything.

    A sync wrapper around a coroutine or generator function says nothing, and most often hands on
    what the wrapped function returns.
    """
    method = _get(method, "__func__") or method
    own = _code_flags(method)
    decided = next(filter(None, map(_code_flags, _layers(method))), 0)
    return own, decided


def _code_flags(layer: object) -> int:
    flags = int(getattr(_get(layer, "__code__"), "co_flags", 0))
    # ``inspect.markcoroutinefunction`` of Python 3.12 and later.
    if _get(layer, "_is_coroutine_mark") is not None:
        return _COROUTINE
    return flags & _DECIDED


def _first_line(definition: object) -> str:
    lines = _docstring(definition).splitlines()
    return lines[0].strip() if lines else ""


def _docstring(definition: object) -> str:
    for layer in _layers(definition):
        # Anything that is not a function shows the docstring of its type here.
        if _get(layer, "__code__") is not None:
            text = str(_get(layer, "__doc__") or "").strip()
            if text:
                return text
    return ""


def _layers(method: object) -> Iterator[object]:
    """The method and what it wraps, outermost first."""
    layer: object | None = method
    for _ in range(64):  # ``__wrapped__`` may be cyclic.
        if layer is None:
            return
        yield layer
        layer = _inner(layer)


def _inner(layer: object) -> object | None:
    """What a staticmethod, classmethod, ``functools.wraps`` wrapper or partial is around."""
    inner: object | None = None
    for name in ("__func__", "__wrapped__", "func"):
        inner = inner or _get(layer, name)
    return inner


def _get(owner: object, name: str) -> Any:
    """An attribute that is plain data: no code of the owner's class runs to produce it."""
    kind = type(owner)
    described = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    try:
        if type(described) in (GetSetDescriptorType, MemberDescriptorType):
            return object.__getattribute__(owner, name)
        return object.__getattribute__(owner, "__dict__").get(name)
    except AttributeError:
        return None
