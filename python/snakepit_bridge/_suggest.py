"""The names a person may have meant. Only for error messages; difflib loads when one is made."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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
