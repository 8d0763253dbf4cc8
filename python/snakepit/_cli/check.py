"""One thing that ``snakepit doctor`` looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Check(NamedTuple):
    """What was found."""

    name: str
    """What was looked at, in a few words; programs may rely on it."""
    good: bool | None
    """``None``: nothing is wrong, but something is missing that one may want."""
    told: str
    """What was found."""
    remedy: str | None = None
    """What mends it, best a command."""

    def as_json(self) -> dict[str, Any]:
        """What a program reads."""
        word = "missing" if self.good is None else "ok" if self.good else "failed"
        return {"name": self.name, "outcome": word, "told": self.told, "remedy": self.remedy}


def passed(checks: Iterable[Check]) -> bool:
    """Whether none failed."""
    return all(check.good is not False for check in checks)


def guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What ``look`` finds; that it could not look is a finding too."""
    try:
        yield from look()
    except Exception as error:
        yield Check(name, False, f"could not be looked at: {type(error).__name__}: {error}")


def pip_install(*what: str, python: str | None = None) -> str:
    """The command that installs it."""
    return " ".join([python or sys.executable, "-m pip install", *(f"'{it}'" for it in what)])
