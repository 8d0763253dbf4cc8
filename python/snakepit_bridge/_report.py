"""An exception with all that it is made of: cause, context, notes, a group's members.

What ``_failure`` makes of an exception is text for people. This is the same for programs, in bounds
that hold whatever an exception is made of:

.. code-block:: text

    exception ─▶ type name, message, traceback (whole, as Python prints it)
      ├─ cause, or context ─▶ the same, its own frames alone ─▶ …       16 deep, 64 in all,
      ├─ members of a group ─▶ …                                       20 KiB of text
      ├─ notes
      └─ class and arguments, where the pool lists the class
"""

from __future__ import annotations

import builtins
import sys

from ._failure import _clip, _message, _type_name, describe, own_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from ._native import Detail, Report

DEPTH = 16
"""Exceptions inside each other."""
NUMBER = 64
"""Of one failure in all."""
TEXT = 20 * 1024
"""Bytes of what is inside, in UTF-8."""

_ENOUGH = 512
"""Bytes; with fewer left, nothing more is told."""
_OVERHEAD = 64
"""Bytes that count for each text and exception beside its characters."""


class Reporter:
    """Describes exceptions as they travel.

    Args:
        listed: Classes that are told by name, with their arguments: ``module:Name``.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = frozenset(listed)

    def __call__(
        self, kind: type[BaseException], value: BaseException, traceback: TracebackType | None
    ) -> Report:
        """Never raises, whatever the exception's own attributes do."""
        texts = describe(kind, value, traceback)
        try:
            detail = _Walk(self._listed).detail(kind, value)
        except BaseException:
            # Memory ran out, say: the text tells it all, too.
            detail = None
        return (*texts, detail)


class _Walk:
    """One failure, and how much of it may still be told."""

    def __init__(self, listed: frozenset[str]) -> None:
        self._listed = listed
        self._number = NUMBER - 1
        self._bytes = TEXT
        self._seen: list[BaseException] = []  # they may compare equal, and have no hash

    def detail(self, kind: type[BaseException], value: BaseException) -> Detail | None:
        """None: there is nothing beside its texts."""
        self._seen.append(value)
        notes = [*self._notes(value)]
        cause = context = None
        if value.__cause__ is not None:
            cause = self._inner(value.__cause__)
        elif value.__context__ is not None and not value.__suppress_context__:
            context = self._inner(value.__context__)
        members = _members(value)
        exceptions = [told for member in members if (told := self._inner(member)) is not None]
        if left_out := len(members) - len(exceptions):
            notes.append(f"{left_out} more exceptions of this group are left out")
        listed = self._class(kind) if self._listed else None
        self._seen.pop()
        if not (notes or cause or context or exceptions or listed):
            return None
        arguments = [*value.args] if listed else None
        return notes, cause, context, exceptions, listed, arguments

    def _inner(self, value: BaseException) -> Report | None:
        is_circle = any(value is outer for outer in self._seen)
        if is_circle or len(self._seen) >= DEPTH or not self._number or self._bytes < _ENOUGH:
            return None
        self._number -= 1
        kind = type(value)
        texts = (
            self._text(_type_name(kind), 256),
            self._text(_message(value), 2048),
            self._text(own_frames(value), 4096),
        )
        return (*texts, self.detail(kind, value))

    def _text(self, text: str, most: int) -> str:
        # A quarter of what is left: something remains for those that come behind.
        clipped = _clip(text, min(most, max(self._bytes // 4, 96)))
        self._bytes -= len(clipped.encode()) + _OVERHEAD
        return clipped

    def _notes(self, value: BaseException) -> Iterator[str]:
        notes = getattr(value, "__notes__", ())
        for note in notes if isinstance(notes, (list, tuple)) else ():
            if self._bytes < _ENOUGH:
                return
            yield self._text(str(note), 1024)

    def _class(self, kind: type[BaseException]) -> str | None:
        for base in kind.__mro__:
            module = "__main__" if base.__module__ == "__snakepit_main__" else base.__module__
            name = f"{module}:{base.__qualname__}"
            if name in self._listed:
                return name
        return None


def _members(value: BaseException) -> tuple[BaseException, ...]:
    group: Any = getattr(builtins, "BaseExceptionGroup", None)
    if group is None:  # before Python 3.11: what makes groups there brings a class of them
        group = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", _NoGroup)
    members: Any = getattr(value, "exceptions", ()) if isinstance(value, group) else ()
    return tuple(members)


class _NoGroup(BaseException):
    """Of what no exception is one."""
