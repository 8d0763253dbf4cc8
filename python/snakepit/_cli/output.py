"""What commands write: text and JSON to standard output, errors to standard error.

Colour only where a terminal reads, ``TERM`` is not ``dumb`` and ``NO_COLOR`` is not set;
``FORCE_COLOR`` asks for it where nobody would expect one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_RED, _GREEN, _YELLOW, _BOLD, _PLAIN = "\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[0m"
_STYLES = {"error": _RED + _BOLD, "good": _GREEN, "bad": _RED, "warning": _YELLOW, "bold": _BOLD}


def out(text: str) -> None:
    """Print for whoever asked."""
    print(text)


def out_json(value: object, *, indent: int | None = 2) -> None:
    """Print one JSON document. What JSON has not, like dates of TOML, is shown as a text."""
    import json

    # Elsewhere than in UTF-8, what the encoding lacks would be no JSON any more.
    ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    print(json.dumps(value, indent=indent, default=str, ensure_ascii=ascii_only))


def say(text: str) -> None:
    """Say something beside the result: progress, warnings."""
    print(text, file=sys.stderr, flush=True)


def fail(message: str, remedy: str | None = None) -> None:
    """Say why something was not done, and what mends it."""
    say(f"{styled('snakepit:', 'error', sys.stderr)} {message}")
    if remedy is not None:
        say(f"  {remedy}")


def coloured(stream: TextIO) -> bool:
    """Whether what is written there may have colours."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in one of the styles above, where ``stream``, standard output, may have colours."""
    return f"{_STYLES[style]}{text}{_PLAIN}" if coloured(stream or sys.stdout) else text


def mark(good: bool | None, stream: TextIO | None = None) -> str:
    """✓, ✗, or – for what could not be asked; in ASCII where the stream's encoding has no other."""
    stream = stream or sys.stdout
    word = "--" if good is None else "ok" if good else "FAIL"
    sign = "–" if good is None else "✓" if good else "✗"
    try:
        sign.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        sign = word
    style = "warning" if good is None else "good" if good else "bad"
    return styled(sign, style, stream)


def console(stream: TextIO | None = None) -> Console:
    """For tables and progress; rich takes a while to load, so only where there are any."""
    from rich.console import Console

    stream = stream or sys.stdout
    options: dict[str, Any] = {}
    if not stream.isatty():
        # Else 80 columns would be cut where a file or a pipe has no end.
        options["width"] = 10_000 if os.environ.get("COLUMNS") is None else None
    return Console(
        file=stream,
        color_system="auto" if coloured(stream) else None,
        force_terminal=None if stream.isatty() else False,
        highlight=False,
        markup=False,
        emoji=False,
        **options,
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as they need to be, for people and for ``awk``; the last is not padded."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header) - 1)]
    return "\n".join(
        "  ".join([*map(str.ljust, line, widths), line[-1]]).rstrip() for line in lines
    )


def lenient() -> None:
    """What an encoding lacks is shown in another way; a strange name must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
