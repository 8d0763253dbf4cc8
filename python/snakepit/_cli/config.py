"""``snakepit config``: what is configured, and where."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from snakepit._cli import output


def config(
    every: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Every value, the defaults too, with the file and line, or the variable, that "
            "sets it.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an array of objects.")
    ] = False,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="NAME", help="Only this pool.")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="FILE", help="The file, instead of those that are found."),
    ] = None,
) -> None:
    """Show what is configured, and where each value comes from.

    The settings that a program in this directory, with this environment, would start its pools
    with. Starts nothing.
    """
    from snakepit._settings import explain, settings

    rows = explain(settings(path), pool)
    if not every:
        rows = [row for row in rows if row.origin.kind != "default"]
    if as_json:
        output.out_json([row.as_json() for row in rows])
        return
    output.out(
        output.table(
            ["POOL", "KEY", "VALUE", "FROM"],
            [
                [row.pool or "-", row.key, _written(row.value), _place(str(row.origin))]
                for row in rows
            ],
        )
    )


def _place(source: str) -> str:
    """From the working directory, what is in it."""
    return source.removeprefix(os.path.join(os.getcwd(), ""))


def _written(value: object) -> str:
    import json

    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)
