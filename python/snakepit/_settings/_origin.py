"""Where a value comes from, and how something wrong there is told."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, NoReturn

from snakepit.errors import ConfigError

Kind = Literal["code", "environment", "file", "profile", "default"]


class Origin(NamedTuple):
    """Where one value comes from."""

    kind: Kind
    """``"code"``, ``"environment"``, ``"file"``, ``"profile"`` (of timeouts) or ``"default"``."""
    file: str | None = None
    line: int | None = None
    variable: str | None = None
    profile: str | None = None
    """Name of the profile of timeouts."""

    def __str__(self) -> str:
        if self.file is not None:
            return self.file if self.line is None else f"{self.file}:{self.line}"
        if self.profile is not None:
            return f"timeout_profile {self.profile}"
        return self.variable or self.kind


CODE = Origin("code")
DEFAULT = Origin("default")


class At(NamedTuple):
    """A place in a configuration: which key, and where it is written."""

    field: str
    origin: Origin

    def of(self, key: str) -> At:
        """The place of a key in the table that is here."""
        return At(f"{self.field}.{key}", self.origin)

    def refuse(self, message: str, **fields: Any) -> NoReturn:
        """Raise ``ConfigError`` for what is here."""
        raise ConfigError(
            f"{self.field}: {message} ({self.origin})",
            **{"field": self.field, "source": str(self.origin), "line": self.origin.line, **fields},
        )

    def wrong(self, expected: str, got: object, suggestion: str | None = None) -> NoReturn:
        """Raise ``ConfigError`` for a value of another type, or without the unit that it needs."""
        shown = written(got)
        self.refuse(
            f"{expected} is needed, not {shown}",
            expected=expected,
            got=shown,
            suggestion=suggestion,
        )


def written(value: object) -> str:
    """A value as TOML writes it, if it does; at most some 80 characters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A subclass marks what came from a variable.
        value = str(value)
        return f'"{value}"' if len(value) <= 80 else f'"{value[:77]}…"'
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python refuses to write numbers of some thousand digits.
        return "a huge number"
