"""Values of an inline pool: they go through the codec as if there were a worker to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit import _core
from snakepit.errors import ArgumentError, MessageTooLarge
from snakepit_bridge._graceful import Substitute
from snakepit_bridge._interop._part import filled

if TYPE_CHECKING:
    from snakepit._config import PoolConfig


class InlineValues:
    """How the values of one pool travel."""

    def __init__(self, config: PoolConfig) -> None:
        results = config.unserializable
        self.substitutes = {
            "request": config.substitute,
            "reply": None if results is None else Substitute(*results),
        }
        """What makes something else of a value that cannot travel, by direction."""
        self._memory = config.shared_memory
        self._limit = config.max_message

    def travel(self, value: Any, root: str, tool: str, direction: str) -> Any:
        """Return ``value`` as it arrives at the other end.

        Raises:
            EncodeError: It cannot travel.
            MessageTooLarge: It is larger than the pool allows.
        """
        substitute, memory, limit = self.substitutes[direction], self._memory, self._limit
        # As with workers: what is large is no part of the message, and has no limit.
        outside: list[Any] | None = None if memory is None else []
        data = _core.encode(value, root, substitute, outside, memory[1] if memory else 0)
        if len(data) > limit:
            raise MessageTooLarge(
                f"{direction} of {tool}: {len(data)} bytes are above the limit of {limit}",
                size=len(data),
                limit=limit,
                direction=direction,
                tool=tool,
            )
        return _core.decode(data, root, [filled(bulk) for bulk in outside] if outside else None)


def refuse_wrong(tool: str, schema: str, data: bytes) -> None:
    """Raise ``ArgumentError`` where arguments, encoded, are not what a tool's schema says."""
    wrong = _core.check_arguments(schema, data)
    if wrong is None:
        return
    parameter, path, expected, got = wrong
    raise ArgumentError(
        f"{tool}: {path}: expected {expected}, got {got}",
        parameter=parameter or None,
        path=path,
        expected=expected,
        got=got,
        tool=tool,
    )
