"""What a host tool can ask about the call that it runs for: ``snakepit.current_call()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakepit._nesting import running

if TYPE_CHECKING:
    from snakepit._engine import NativeHostCall


class HostCall:
    """A call of a host tool, as the tool itself sees it."""

    __slots__ = ("_native",)

    def __init__(self, native: NativeHostCall) -> None:
        self._native = native

    @property
    def name(self) -> str:
        """The name by which the host tool was called."""
        return self._native.name

    @property
    def caller(self) -> str:
        """The tool of the adapter that called it."""
        return self._native.caller

    @property
    def session_id(self) -> str | None:
        """The session of the call that called it; ``None``: it belongs to none."""
        return self._native.session_id

    @property
    def depth(self) -> int:
        """How many host tools run inside each other here: 1 in one that a plain call called."""
        return self._native.depth

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more; a long tool should look and return."""
        return self._native.cancelled

    def remaining(self) -> float | None:
        """Seconds until the answer comes too late: the call's deadline, or the tool's own timeout.

        0.0 when that has passed, ``None`` when there is none.
        """
        return self._native.remaining()

    def __repr__(self) -> str:
        return f"<HostCall of {self.name!r} by {self.caller!r}>"


def current_call() -> HostCall | None:
    """Return the call of a host tool that runs in this thread or task; ``None``: none does."""
    native = running.get()
    return None if native is None else HostCall(native)
