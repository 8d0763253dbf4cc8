"""The command line of the conformance kit."""

from __future__ import annotations

import argparse
import sys

USAGE_ERROR = 2
"""Exit code where nothing was judged; 1 is for a worker that broke a rule."""


def main(arguments: list[str] | None = None) -> int:
    """Run the kit; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m snakepit.conformance",
        description="Drives a program that claims to be a Snakepit worker through every rule of "
        "docs/protocol.md.",
        epilog="exit codes: 0 all is well, 1 a rule is broken, 2 nothing was judged",
    )
    parser.add_argument("--list", action="store_true", help="list the checks and what they say")
    parser.add_argument(
        "--select", action="append", default=[], metavar="NAME", help="this check only; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="seconds that anything may take"
    )
    parser.add_argument(
        "--bare", action="store_true", help="start the command itself, with no shim before it"
    )
    parser.add_argument("command", nargs="*", metavar="-- CMD", help="the worker's command")
    asked = parser.parse_args(arguments)
    try:
        from . import run
        from .check import CHECKS
        from .checks import __name__ as _all_of_them  # noqa: F401, fills CHECKS
    except ModuleNotFoundError as error:
        print(f"{error}; pip install 'snakepit-pool[conformance]'", file=sys.stderr)
        return USAGE_ERROR
    if asked.list:
        for check in CHECKS.values():
            print(f"{check.name:18} {check.says}")
        return 0
    if not asked.command:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    try:
        report = run(
            asked.command,
            select=asked.select,
            timeout=asked.timeout,
            bare=asked.bare,
            on_finding=(lambda finding: None) if asked.json else print,
        )
    except (ValueError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    print(report.to_json() if asked.json else report.summary())
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
