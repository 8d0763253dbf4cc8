"""What a pool tells of its adapter's tools."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit import _core


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool of the adapter: what ``pool.tools()`` lists."""

    name: str
    """What calls use."""
    description: str
    """What the adapter says about it, in a line; empty where it says nothing."""
    parameters: dict[str, Any]
    """JSON Schema (2020-12) of its arguments: an object whose properties are the parameters.

    Made of signature, annotations and docstring; ``{"type": "object"}`` where there is no telling.
    """
    streaming: bool
    """Whether it is for ``execute_stream``."""
    thread_safe: bool = False
    """Whether calls of it may overlap with each other in one worker, as far as its author says:
    it is marked with ``@thread_safe_method``, or a coroutine, of which all run on one thread."""


def read(told: Iterable[_core._Tool]) -> list[ToolInfo]:
    """Return what an engine told."""
    return [
        ToolInfo(name, description, json.loads(parameters), streaming, thread_safe)
        for name, description, streaming, parameters, thread_safe in told
    ]
