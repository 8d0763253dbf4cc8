"""The command line: ``snakepit COMMAND``, or ``python -m snakepit COMMAND``; see ``_cli``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, that of this process by default, and return the exit status.

    Raises:
        SystemExit: The command line is wrong.
    """
    try:
        from snakepit._cli import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("typer", "rich"):
            raise
        # Installed with --no-deps, as those do who want the library alone.
        print(
            f"snakepit: the command line needs typer and rich, and {error.name} is not installed\n"
            f"  {sys.executable} -m pip install typer rich",
            file=sys.stderr,
        )
        return 1
    return app.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
