"""The command line: ``snakepit COMMAND``, or ``python -m snakepit COMMAND``.

Exit status: 0, done; 1, something could not be done, and standard error says what; 2, the command
line is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, that of this process by default, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="snakepit",
        description="Pools of warm, supervised Python worker processes.",
        epilog="exit status: 0 done, 1 something could not be done, 2 wrong command line",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "cleanup",
        help="end what killed hosts of this user have left, remove their run folders",
        description="End the processes that killed hosts of this user have left, and remove their "
        "run folders. What belongs to a living host is not touched. Hosts do this by themselves "
        "with their first pool.",
    )
    command.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="where to look for run folders; by default in $XDG_RUNTIME_DIR, /run/user/UID, "
        "$TMPDIR and /tmp. Name others where the hosts had another environment",
    )
    command.set_defaults(run=_cleanup)
    command = commands.add_parser(
        "config",
        help="show what is configured, and where each value comes from",
        description="Show the settings that a program in this directory, with this environment, "
        "would start its pools with. Starts nothing.",
    )
    command.add_argument(
        "--explain",
        action="store_true",
        help="every value, the defaults too, with the file and line, or the variable, that sets it",
    )
    command.add_argument("--json", action="store_true", help="for programs: an array of objects")
    command.add_argument("--pool", metavar="NAME", help="only this pool")
    command.add_argument("--path", metavar="FILE", help="the file, instead of those that are found")
    command.set_defaults(run=_config)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status


def _cleanup(chosen: argparse.Namespace) -> int:
    from snakepit._cleanup import cleanup

    done = cleanup(*chosen.folders)
    for pid in done.ended:
        print(f"ended process {pid}")
    print(
        f"{len(done.hosts)} dead hosts, {len(done.ended)} processes ended, "
        f"{done.folders} run folders removed"
    )
    for pid in done.refused:
        print(f"process {pid} {_why_refused(pid)}", file=sys.stderr)
    return FAILED if done.refused else DONE


def _config(chosen: argparse.Namespace) -> int:
    from snakepit._settings import explain, settings
    from snakepit.errors import ConfigError

    try:
        told = settings(chosen.path)
        rows = explain(told, chosen.pool)
    except ConfigError as error:
        print(f"snakepit: {error}", file=sys.stderr)
        return FAILED
    if not chosen.explain:
        rows = [row for row in rows if row.origin.kind != "default"]
    if chosen.json:
        import json

        # What TOML has and JSON has not, like dates, is shown as a text.
        text = json.dumps([row.as_json() for row in rows], indent=2, default=str)
    else:
        lines = [
            (row.pool or "-", row.key, _written(row.value), _place(str(row.origin))) for row in rows
        ]
        lines = [("POOL", "KEY", "VALUE", "FROM"), *lines]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        text = "\n".join("  ".join([*map(str.ljust, line, widths), line[3]]) for line in lines)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `… | head` has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _place(source: str) -> str:
    """From the working directory, what is in it."""
    return source.removeprefix(os.path.join(os.getcwd(), ""))


def _written(value: object) -> str:
    import json

    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _why_refused(pid: int) -> str:
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "refused the signal and has ended since"
    if owner != os.geteuid():
        return f"belongs to user {owner} now: end it as that user, or as root"
    return "may not be ended: what confines this process (seccomp, AppArmor, SELinux) forbids it"


if __name__ == "__main__":
    sys.exit(main())
