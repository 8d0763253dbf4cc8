"""``snakepit setup``: an environment of its own for an adapter's workers."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from snakepit._cli import output
from snakepit._cli.outcome import Failed


def setup(
    needs: Annotated[
        str | None,
        typer.Argument(
            metavar="ADAPTER",
            help="What the adapter needs: the folder of its project, which is installed, or a file "
            "of requirements. Default: the SDK alone.",
            show_default=False,
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PYTHON",
            help="The Python to make it from, 3.10 or newer: a file or a name in PATH. Default: "
            "this one.",
        ),
    ] = None,
    folder: Annotated[
        str, typer.Option("--dir", metavar="DIR", help="The environment's folder.")
    ] = ".venv-worker",
    find_links: Annotated[
        list[str] | None,
        typer.Option(
            "--find-links",
            metavar="PLACE",
            help="As pip's: a folder or page with more distributions. May be repeated.",
        ),
    ] = None,
    no_index: Annotated[
        bool, typer.Option("--no-index", help="As pip's: take nothing from an index.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Make a virtual environment for an adapter's workers.

    It gets what the adapter needs and the snakepit-bridge of this host's version; then a worker is
    started in it. Prints the line for the configuration. Again, it brings what is missing. A folder
    that it did not make is refused.
    """
    from snakepit import __version__
    from snakepit._cli import environment as made
    from snakepit._cli import started
    from snakepit._cli.signals import put_away_on_sigterm
    from snakepit._interpreter import interpreter

    wanted = _wanted(needs)
    found = made.ask(interpreter(python))
    made.refuse_unfit(found)
    place = made.Environment(Path(folder).absolute())
    place.refuse_foreign(found)
    more = [word for link in find_links or () for word in ("--find-links", _place(link))]
    if no_index:
        more.append("--no-index")
    with put_away_on_sigterm(), place.claimed(found), _progress() as progress:
        created = place.make(found, progress)
        place.install([*more, made.requirement(found, __version__), *wanted], progress)
        progress("starting a worker there")
        answer, _ = started.answer(str(place.folder))
    told = {
        "python": str(place.folder),
        "created": created,
        "version": answer["python"],
        "end": "native" if answer["native"] else "grpcio",
    }
    if as_json:
        output.out_json(told)
        return
    output.say(f"a worker answered there: Python {told['version']}, {told['end']} end")
    output.out(f'python = "{told["python"]}"')


def _wanted(needs: str | None) -> list[str]:
    """What pip is to install for an adapter."""
    if needs is None:
        return []
    path = Path(needs)
    if path.name == "pyproject.toml" and path.is_file():
        path = path.absolute().parent
    if path.is_dir():
        if not any((path / name).is_file() for name in ("pyproject.toml", "setup.py")):
            raise Failed(
                f"{path} is no project: it has neither pyproject.toml nor setup.py",
                "name a file of requirements, or make a project: snakepit gen adapter NAME",
            )
        return [str(path.absolute())]
    if path.is_file():
        return ["-r", str(path.absolute())]
    remedy = "name the folder of the adapter's project, or a file of requirements"
    if ":" in needs and not path.exists():
        raise Failed(f"{needs} is the name of a class, which does not say what it needs", remedy)
    raise Failed(f"there is no folder or file {needs}", remedy)


def _place(link: str) -> str:
    # A name that begins with a dash would be an option of pip's.
    return str(Path(link).absolute()) if Path(link).exists() else link


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Says what is going on: at a terminal on one line that changes, else a line a step."""
    if not sys.stderr.isatty():
        yield lambda text: output.say(text) if not text.startswith(" ") else None
        return
    console = output.console(sys.stderr)
    with console.status("…") as status:
        yield lambda text: status.update(text[: max(10, console.width - 4)])
