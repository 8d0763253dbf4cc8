"""Which commands there are, and every way in which one ends."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from snakepit._cli import output
from snakepit._cli.outcome import Failed, Status
from snakepit._cli.signals import Terminated

COMMANDS = {
    "cleanup": "snakepit._cli.cleanup:cleanup",
    "config": "snakepit._cli.config:config",
    "doctor": "snakepit._cli.doctor:doctor",
    "gen": "snakepit._cli.gen:app",
    "recycle": "snakepit._cli.recycle:app",
    "run": "snakepit._cli.run:run",
    "setup": "snakepit._cli.setup:setup",
    "stack": "snakepit._cli.stack:stack",
    "status": "snakepit._cli.status:status",
    "top": "snakepit._cli.top:top",
}
"""Name, and where its function is; or, of a command that has commands, its application."""

STATUSES = (
    "exit status: 0 done, 1 something could not be done, 2 wrong command line, "
    "3 no running host, 4 not done in the time given, 130 Ctrl-C, 143 SIGTERM"
)

# Plain: with rich's help, `--help` would take three times as long.
SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


class Commands(TyperGroup):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From docstrings: to make every command for that is most of what help would cost."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(name)) for name in COMMANDS])


def summary(name: str) -> str:
    """What the command of that name does, in a line."""
    found = _imported(name)
    told: str = (found.info.help if isinstance(found, typer.Typer) else found.__doc__) or ""
    return told.partition("\n")[0]


def _imported(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    return getattr(import_module(module), attribute)


def command(name: str) -> Any:
    """The command of that name, as typer runs it."""
    found = _imported(name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(**{**SETTINGS, "no_args_is_help": False})
        alone.command(name)(found)
        found = alone
    made = typer.main.get_command(found)
    made.name = name
    return made


app = typer.Typer(cls=Commands, epilog=STATUSES, **SETTINGS)


def _version(wanted: bool) -> None:
    if wanted:
        from snakepit import __version__

        output.out(f"snakepit {__version__}")
        raise typer.Exit


@app.callback()
def snakepit(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Pools of warm, supervised Python worker processes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, that of this process by default, and return the exit status.

    Raises:
        SystemExit: The command line is wrong.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    output.lenient()
    return _ended(functools.partial(_run, [*arguments]))


def _run(arguments: list[str]) -> Any:
    """As ``app()`` would; that has a status of its own for a closed pipe."""
    group = typer.main.get_command(app)
    with group.make_context("snakepit", arguments) as context:
        return group.invoke(context)


def _ended(run: Callable[[], Any]) -> int:
    """The status of ``run``, whichever way it ends."""
    try:
        status = run() or Status.DONE
        sys.stdout.flush()
    except Failed as failure:
        output.fail(failure.message, failure.remedy)
        status = failure.status
    except typer.TyperException as wrong:
        _told_usage(wrong)
        raise SystemExit(wrong.exit_code) from None
    except typer.Exit as done:
        status = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = Status.INTERRUPTED
    except Terminated:
        status = Status.TERMINATED
    except BrokenPipeError:  # `… | head` has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Status.DONE
    except Exception as error:
        # At the end: who raises one of them has imported them, and help needs none.
        from snakepit.errors import SnakepitError

        if not isinstance(error, OSError | SnakepitError):
            raise
        output.fail(str(error))
        status = Status.FAILED
    return int(status)


def _told_usage(wrong: typer.TyperException) -> None:
    context = getattr(wrong, "ctx", None)
    message = wrong.format_message()
    if message.startswith("Usage:"):  # No command at all.
        output.say(message)
        return
    where = "snakepit" if context is None else context.command_path
    output.fail(message, f"{where} --help")
