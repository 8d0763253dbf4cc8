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


def read(told: Iterable[_core._Tool]) -> list[ToolInfo]:
    """Return what an engine told."""
    return [
        ToolInfo(name, description, json.loads(parameters), streaming)
        for name, description, streaming, parameters in told
    ]
