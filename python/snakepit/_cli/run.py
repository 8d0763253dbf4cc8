"""``snakepit run``: one call of one tool, from a shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snakepit._cli import output
from snakepit._cli.outcome import Failed

if TYPE_CHECKING:
    from snakepit import Pool


def run(
    adapter: Annotated[
        str,
        typer.Argument(
            metavar="ADAPTER",
            help="The adapter's class, as module:Class; found in the working directory, or where "
            "this Python finds modules.",
        ),
    ],
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="Name of the tool.")],
    arguments: Annotated[
        str,
        typer.Argument(
            metavar="JSON",
            help="Its arguments, an object; - reads them from standard input. Default: none.",
            show_default=False,
        ),
    ] = "{}",
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Run a streaming tool; prints each chunk on a line."),
    ] = False,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help="Run it in a session of that id."),
    ] = None,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="Seconds that the call may take once the worker is ready, or a number with a "
            "unit, like 500ms or 2m; none: no limit.",
        ),
    ] = "300",
    adapter_args: Annotated[
        str,
        typer.Option(
            "--adapter-args",
            metavar="JSON",
            help="Keywords of the adapter's __init__, an object. Default: none.",
            show_default=False,
        ),
    ] = "{}",
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PYTHON",
            help="The worker's interpreter: a file, a name in PATH, or the folder of a virtual "
            "environment. Default: this one.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result on one line, at a terminal too.")
    ] = False,
) -> None:
    """Run one tool in a worker and print its result as JSON.

    What the worker prints goes to standard error, and so does the traceback of a tool that raised.
    Ctrl-C and SIGTERM cancel the call; no process is left.
    """
    from snakepit import Pool
    from snakepit._cli import words
    from snakepit._cli.signals import put_away_on_sigterm

    call = words.json_object(arguments, "JSON")
    keywords = words.json_object(adapter_args, "--adapter-args")
    limit = words.seconds(timeout, "--timeout")
    with (
        put_away_on_sigterm(),
        Pool(
            adapter,
            size=1,
            name="run",
            adapter_args=keywords,
            python=python,
            pythonpath=[os.getcwd()],
            validate_arguments=True,
        ) as pool,
    ):
        _must_fit(pool, tool, stream)
        if stream:
            for chunk in pool.execute_stream(tool, call, session=session, timeout=limit):
                _print(chunk, indent=None)
        else:
            result = pool.execute(tool, call, session=session, timeout=limit)
            _print(result, indent=2 if sys.stdout.isatty() and not as_json else None)


def _must_fit(pool: Pool, tool: str, stream: bool) -> None:
    """Told before anything runs; one that is missing is told by the call."""
    for known in pool.tools():
        if known.name == tool and known.streaming != stream:
            if stream:
                raise Failed(f"{tool} is no streaming tool", "leave out --stream")
            raise Failed(f"{tool} streams its results", "add --stream")


def _print(value: Any, indent: int | None) -> None:
    from snakepit._cli.plain import plain

    output.out_json(plain(value), indent=indent)
    sys.stdout.flush()  # A reader must see a chunk when it is there.
