"""What people write on a command line: JSON objects, durations. What is wrong is told."""

from __future__ import annotations

import sys
from typing import Any

import typer


def json_object(text: str, name: str) -> dict[str, Any]:
    """The object that ``text`` is, or standard input where it is ``-``.

    Raises:
        typer.BadParameter: It is none; tells the column and shows the place.
    """
    import json

    if text == "-":
        text = sys.stdin.read()
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.strip() else ""
        where = (
            f"column {error.colno}"
            if error.lineno == 1
            else f"line {error.lineno}, " + (f"column {error.colno}")
        )
        raise typer.BadParameter(
            f"no JSON at {where}: {error.msg}\n{_shown(line, error.colno - 1)}", param_hint=name
        ) from None
    except RecursionError:
        raise typer.BadParameter("the JSON is nested too deep", param_hint=name) from None
    if not isinstance(value, dict):
        raise typer.BadParameter(
            f"an object of arguments by name is needed, like '{{\"a\": 1}}', not {_kind(value)}",
            param_hint=name,
        )
    return value


def seconds(text: str, name: str) -> float | None:
    """The duration that ``text`` is: seconds, or a number with a unit, or ``none``.

    Raises:
        typer.BadParameter: It is none, or cannot be one.
    """
    from snakepit._duration import limit
    from snakepit._settings._units import SECONDS
    from snakepit.errors import ConfigError

    if text == "none":
        return None
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :]
    try:
        return limit(name, float(number) * SECONDS[unit or "s"])
    except ConfigError as error:
        raise typer.BadParameter(error.message.partition(": ")[2], param_hint=name) from None
    except (ValueError, KeyError):
        units = ", ".join(SECONDS)
        raise typer.BadParameter(
            f"{text!r} is no duration: seconds are, a number with a unit ({units}), or none",
            param_hint=name,
        ) from None


def _shown(line: str, column: int) -> str:
    """The line, or what of it is around the column, with a pointer below."""
    begin = max(0, column - 40)
    part = line[begin : column + 30].replace("\t", " ")
    return f"  {part}\n  {' ' * (column - begin)}^"


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
