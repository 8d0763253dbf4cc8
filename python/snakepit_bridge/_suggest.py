"""The names a person may have meant. Only for error messages; difflib loads when one is made."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def closest(name: str, candidates: Iterable[str]) -> list[str]:
    """At most three of ``candidates`` that look like ``name``, best first; case does not count."""
    from difflib import get_close_matches

    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(candidate.casefold(), candidate)
    return [folded[match] for match in get_close_matches(name.casefold(), folded)]


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`` Did you mean 'x' or 'y'?``, or nothing, to append to a message."""
    names = closest(name, candidates)
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""


class Suggest:
    """What there is instead of a tool that there is not; for the calls of one adapter.

    Where the name is that of a method which lacks ``@tool``, people are told, once.
    """

    def __init__(
        self, tools: Iterable[str], adapter: object, report: Callable[[str, str], object]
    ) -> None:
        self._tools = tools
        self._class = type(adapter)
        self._report = report
        self._told: set[str] = set()

    def __call__(self, name: str) -> list[str]:
        if name not in self._told and is_unmarked(self._class, name):
            self._told.add(name)
            where = f"{self._class.__qualname__}.{name}"
            text = f"{where} is no tool, since it is not marked: write @tool above its def"
            sys.stderr.write(f"{text}\n")
            self._report("tools", text)
        return closest(name, self._tools)


def is_unmarked(adapter_class: type, name: str) -> bool:
    """Whether ``name``, which is no tool, is a public method that the adapter's author wrote."""
    for base in adapter_class.__mro__:
        if name in vars(base):
            return (
                not name.startswith("_")
                and not base.__module__.startswith("snakepit_bridge.")
                and isinstance(vars(base)[name], type(is_unmarked))
            )
    return False
