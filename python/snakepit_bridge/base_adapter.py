"""The base class of adapters written for the original Snakepit, under the name that they import.

``snakepit_bridge.BaseAdapter`` is the one for new adapters. This one adds what the original's had:
a class with ``execute_tool`` gets every call through it, those of ``@tool`` methods too; items of a
stream may be ``StreamChunk``s; ``call_tool``, ``get_tools`` and ``session_id`` are there.

What differs: an adapter lives as long as its worker, so ``__init__``, ``initialize`` and
``cleanup`` run once, not once a call.
"""

from __future__ import annotations

from ._adapter import BaseAdapter as _Base
from ._dispatch import ORIGINAL
from ._tool import tool as _tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar, overload

    from ._context import SessionContext

    Method = TypeVar("Method", bound="Callable[..., Any]")
    Hook = TypeVar("Hook", bound="Callable[..., Any]")
else:

    def overload(function: Any) -> Any:  # typing itself is too slow to import here.
        return function


__all__ = ["BaseAdapter", "ParameterSpec", "ToolMetadata", "ToolRegistration", "tool"]


class ToolMetadata:
    """What ``tool`` was told: the attribute ``_tool_metadata`` of a method."""

    def __init__(
        self,
        description: str = "",
        supports_streaming: bool = False,
        parameters: list[dict[str, Any]] | None = None,
        required_variables: Sequence[str] | None = None,
    ) -> None:
        self.description = description
        self.supports_streaming = supports_streaming
        self.parameters = [] if parameters is None else parameters
        self.required_variables = list(required_variables or ())

    def __repr__(self) -> str:
        return f"ToolMetadata({self.description!r}, supports_streaming={self.supports_streaming})"


class ParameterSpec:
    """A parameter of a tool, as ``BaseAdapter.get_tools`` tells of it."""

    def __init__(
        self,
        name: str = "",
        type: str = "any",  # noqa: A002, the original's name
        description: str = "",
        required: bool = True,
        validation_json: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.description = description
        self.required = required
        self.validation_json = validation_json


class ToolRegistration:
    """A tool, as ``BaseAdapter.get_tools`` tells of it."""

    def __init__(
        self,
        name: str = "",
        description: str = "",
        parameters: Sequence[ParameterSpec] = (),
        supports_streaming: bool = False,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.parameters = list(parameters)
        self.supports_streaming = supports_streaming
        self.metadata = {} if metadata is None else metadata


@overload
def tool(description: Method, /) -> Method: ...
@overload
def tool(  # noqa: F811
    description: str = "",
    supports_streaming: bool | None = None,
    required_variables: Sequence[str] | None = None,
) -> Callable[[Method], Method]: ...
def tool(  # noqa: F811
    description: Any = "",
    supports_streaming: bool | None = None,
    required_variables: Sequence[str] | None = None,
) -> Any:
    """Mark a method as a tool, with the parameters of the original's decorator.

    Args:
        description: One line for people and agents. Default: the docstring's first line.
        supports_streaming: As in ``snakepit_bridge.tool``, except that False says nothing: it was
            the default, and generators streamed all the same.
        required_variables: Kept in ``_tool_metadata``; nothing looks at it.
    """
    if callable(description):
        return _marked(description, "", None, None)
    return lambda method: _marked(method, description, supports_streaming, required_variables)


def _marked(
    method: Any,
    description: str,
    supports_streaming: bool | None,
    required_variables: Sequence[str] | None,
) -> Any:
    streams = bool(supports_streaming)
    marked = _tool(description=description or None, supports_streaming=streams or None)(method)
    text = description or (getattr(method, "__doc__", None) or "")
    bare = getattr(method, "__func__", method)
    bare._tool_metadata = ToolMetadata(text, streams, None, required_variables)
    return marked


def _unchanged(hook: Hook) -> Hook:
    """Mark a hook that the worker need not call unless a subclass overrides it."""
    setattr(hook, ORIGINAL, True)
    return hook


class BaseAdapter(_Base):
    """Base of adapters written for the original Snakepit; see the module."""

    __snakepit_original__ = True

    @property
    def session_id(self) -> str | None:
        """The caller's session id; None when the call belongs to no session."""
        return self.session_context.session_id

    @property
    def _session_context(self) -> SessionContext:
        return self.session_context

    @_session_context.setter
    def _session_context(self, context: SessionContext | None) -> None:
        self.session_context = context

    @_unchanged
    def set_session_context(self, session_context: SessionContext | None) -> None:
        """Called before each call where a subclass overrides it; ``session_context`` needs none."""
        self.session_context = session_context

    def call_tool(self, tool_name: str, **kwargs: Any) -> Any:
        """Call a method of this adapter by its name, as ``execute_tool`` likes to.

        Raises:
            AttributeError: There is none.
            TypeError: It cannot be called.
        """
        method = getattr(self, tool_name, None)
        if method is None:
            raise AttributeError(f"Tool '{tool_name}' not found in {type(self).__name__}")
        if not callable(method):
            raise TypeError(f"'{tool_name}' is not a callable tool")
        return method(**kwargs)

    @_unchanged
    def get_tools(self) -> list[ToolRegistration]:
        """The ``@tool`` methods, with the parameters that their signatures have."""
        from ._collect import declarations

        kind = type(self)
        return [
            ToolRegistration(
                declared.name,
                declared.description,
                _parameters(getattr(self, declared.attribute)),
                declared.streams,
                {"adapter_class": kind.__name__, "module": kind.__module__},
            )
            for declared in declarations(kind)
        ]


def _parameters(method: Callable[..., Any]) -> list[ParameterSpec]:
    # Here, not above: nobody else of a worker needs them.
    import json
    from inspect import Parameter, signature

    def spec(parameter: Parameter) -> ParameterSpec:
        annotation, default = parameter.annotation, parameter.default
        kind = "any"
        if annotation is not Parameter.empty:
            kind = getattr(annotation, "__name__", str(annotation)).lower()
        required = default is Parameter.empty
        validation = "" if required else json.dumps({"default": default}, default=repr)
        return ParameterSpec(parameter.name, kind, "", required, validation)

    return [spec(parameter) for parameter in signature(method).parameters.values()]
