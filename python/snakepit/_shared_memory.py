"""The memory in which large values travel; made and managed by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from snakepit._checks import choice, positive
from snakepit._duration import seconds
from snakepit._life import Checked
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit._duration import Duration

# Those of the engine (crates/core, config/shared_memory.rs).
_LEAST_BYTES = 4 * 1024 * 1024
_LEAST_THRESHOLD = 4 * 1024
_WHEN_FULL = ("inline", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemory(Checked):
    """Memory that a pool and its workers have in common, for values that are large.

    It is made when it is needed, used again, and given back some time after. A value that lies in
    it is copied there once, and read by the other side where it lies. See ``docs/data.md``.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> memory = snakepit.SharedMemory(max_bytes=8 * 1024**3, when_full="error")
        >>> snakepit.Pool("my_app:Model", size=4, shared_memory=memory)
    """

    max_bytes: int | None = None
    """Bytes of it that there may be, the workers' results included; 4 MiB at least. ``None``: a
    quarter of the memory that the process may use, so of a container's limit."""
    threshold: int = 64 * 1024
    """Arrays, tables and bytes of fewer bytes travel in the message; 4 KiB at least."""
    wait: Duration = 1.0
    """Seconds that a value waits where all of it is in use, within its call's deadline."""
    when_full: Literal["inline", "error"] = "inline"
    """What becomes of it then. ``"inline"``: it is sent over the line, which is slower, and
    ``max_message`` bounds it. ``"error"``: it is an ``EncodeError``."""

    def __post_init__(self) -> None:
        if self.max_bytes is not None:
            positive("shared_memory.max_bytes", self.max_bytes, least=_LEAST_BYTES, most=2**63 - 1)
        positive("shared_memory.threshold", self.threshold, least=_LEAST_THRESHOLD, most=2**63 - 1)
        seconds("shared_memory.wait", self.wait)
        choice("shared_memory.when_full", self.when_full, _WHEN_FULL)


def read(value: object) -> tuple[Any, ...]:
    """What the engine takes, in the order of the fields."""
    if isinstance(value, Mapping):
        value = SharedMemory(**value)
    if not isinstance(value, SharedMemory):
        raise ConfigError(
            "shared_memory: a snakepit.SharedMemory, a mapping or None is needed, "
            f"not {value!r:.80}",
            field="shared_memory",
        )
    wait = seconds("shared_memory.wait", value.wait)
    return value.max_bytes, value.threshold, wait, value.when_full
