"""What may be passed to a tool by keyword: names, defaults and annotations of its parameters.

Plain functions are read off their code object, since ``inspect`` takes longer to import than all
else that a worker loads of ours; it is there for the callables that are none.
"""

from __future__ import annotations

from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_VAR_POSITIONAL, _VAR_KEYWORD = 0x04, 0x08

NOTHING = object()
"""No default, no annotation."""


class Signature:
    """The parameters of one callable that a keyword can fill."""

    __slots__ = ("annotations", "defaults", "module", "names", "others", "unreachable")

    def __init__(self) -> None:
        self.names: list[str] = []
        """In their order."""
        self.defaults: dict[str, Any] = {}
        self.annotations: Mapping[str, Any] = {}
        """As they are written: a text where the module postpones their evaluation."""
        self.others: str | None = None
        """Name of ``**keywords``, which takes all that has no parameter of its own."""
        self.unreachable: str | None = None
        """A parameter that has to be given and that no keyword can give."""
        self.module: dict[str, Any] = {}
        """Where names in annotations are looked up."""


def read(tool: Callable[..., Any]) -> Signature | None:
    """Return the signature of a bound tool; ``None``: it does not tell."""
    function, bound = _unwrapped(tool)
    if type(function) is FunctionType and "__signature__" not in vars(function):
        return _of_code(function, bound)
    return _inspected(function if bound == 0 else tool)


def _unwrapped(tool: Any) -> tuple[Any, int]:
    """The function that says what the parameters are, and how many of them are filled."""
    bound = 0
    for _ in range(64):  # ``__wrapped__`` may be cyclic.
        if type(tool) is MethodType:
            tool, bound = tool.__func__, bound + 1
        elif type(tool) is FunctionType and "__wrapped__" in vars(tool):
            if "__signature__" in vars(tool):
                break
            tool = vars(tool)["__wrapped__"]
        else:
            break
    return tool, bound


def _of_code(function: FunctionType, bound: int) -> Signature:
    told, code = Signature(), function.__code__
    names = code.co_varnames
    positional, keyword_only = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    first_default = positional - len(defaults)
    for place in range(bound, positional):
        name, default = names[place], NOTHING
        if place >= first_default:
            default = defaults[place - first_default]
        if place < code.co_posonlyargcount:
            if default is NOTHING and told.unreachable is None:
                told.unreachable = name
            continue
        told.names.append(name)
        if default is not NOTHING:
            told.defaults[name] = default
    told.names += names[positional : positional + keyword_only]
    told.defaults.update(function.__kwdefaults__ or {})
    if code.co_flags & _VAR_KEYWORD:
        has_rest = bool(code.co_flags & _VAR_POSITIONAL)
        told.others = names[positional + keyword_only + has_rest]
    told.annotations = _annotations(function)
    told.module = function.__globals__
    return told


def _inspected(tool: Any) -> Signature | None:
    import inspect

    try:
        parameters = inspect.signature(tool).parameters.values()
    except (TypeError, ValueError):
        return None
    told = Signature()
    annotations = {}
    for each in parameters:
        if each.annotation is not each.empty:
            annotations[each.name] = each.annotation
        if each.kind is each.VAR_KEYWORD:
            told.others = each.name
        elif each.kind is each.POSITIONAL_ONLY:
            if each.default is each.empty and told.unreachable is None:
                told.unreachable = each.name
        elif each.kind is not each.VAR_POSITIONAL:
            told.names.append(each.name)
            if each.default is not each.empty:
                told.defaults[each.name] = each.default
    told.annotations = annotations
    inner = inspect.unwrap(getattr(tool, "func", tool))
    told.module = getattr(inner, "__globals__", {})
    return told


def _annotations(function: Any) -> Mapping[str, Any]:
    try:
        annotations: Mapping[str, Any] = function.__annotations__
    except Exception:
        # Python 3.14 evaluates them here; some names may be there for type checkers only.
        try:
            import annotationlib  # type: ignore[import-not-found, unused-ignore]

            annotations = annotationlib.get_annotations(
                function, format=annotationlib.Format.FORWARDREF
            )
        except Exception:
            return {}
    return annotations
