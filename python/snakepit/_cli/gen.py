"""``snakepit gen``: what one would otherwise copy from somewhere."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Annotated

import typer

from snakepit._cli import output
from snakepit._cli.app import SETTINGS
from snakepit._cli.outcome import Failed

app = typer.Typer(help="Make the files of something new.", **SETTINGS)


@app.callback()
def gen() -> None:
    """Make the files of something new. Nothing that exists is touched."""


@app.command()
def adapter(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Of the module, like my_model; its class is MyModel then. MyModel will do too.",
        ),
    ],
    folder: Annotated[
        str,
        typer.Option("--dir", metavar="DIR", help="Where to make the project's folder."),
    ] = ".",
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an object with the files.")
    ] = False,
) -> None:
    """Make an adapter's project: module, tests, pyproject.toml, README.

    Its folder has the module's name. One that exists, even as a link, is refused.
    """
    from snakepit import __version__
    from snakepit._cli import scaffold

    wrong = scaffold.fault(name)
    if wrong is not None:
        message, other = wrong
        meant = f"; did you mean {other}?" if other else ""
        raise typer.BadParameter(message + meant, param_hint="NAME")
    module = scaffold.module_of(name)
    target = Path(folder) / module
    written = _written(target, scaffold.files(name, __version__))
    if as_json:
        files = [str(path) for path in written]
        place = {"module": module, "class": scaffold.class_of(name)}
        output.out_json({"folder": str(target), **place, "files": files})
        return
    for path in written:
        output.out(f"wrote {path}")
    call = f'snakepit run {module}:{scaffold.class_of(name)} greet \'{{"name": "world"}}\''
    output.out(f"Next: cd {target} && {call}")


def _written(target: Path, files: dict[str, str]) -> list[Path]:
    """Write the files below ``target``, which this makes; all of them or none."""
    try:
        # Fails for whatever is there already, a link that leads nowhere too.
        target.mkdir()
    except FileExistsError:
        what = "a link" if target.is_symlink() else "there already"
        raise Failed(
            f"{target} is {what}, and nothing that exists is touched",
            "take another NAME, or another place with --dir",
        ) from None
    except FileNotFoundError:
        raise Failed(f"there is no folder {target.parent}", f"mkdir -p {target.parent}") from None
    except NotADirectoryError:
        raise Failed(f"{target.parent} is no folder", "name another with --dir") from None
    written = []
    try:
        for name, text in files.items():
            path = target / name
            path.parent.mkdir(exist_ok=True)
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
            written.append(path)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(target)
        raise
    return written
