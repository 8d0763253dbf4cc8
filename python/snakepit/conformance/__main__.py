"""The command line of the conformance kit."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Finding

BROKEN = 1
NOT_JUDGED = 2
INTERRUPTED = 130  # as a shell has it for SIGINT


class _Unwritable(Exception):  # noqa: N818
    """Nobody reads the report, or there is no room for it."""


def main(arguments: list[str] | None = None) -> int:
    """Run the kit; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return _list(asked) if asked.list else _run(asked)
    except KeyboardInterrupt:  # while there was nothing to report yet, or once more
        return INTERRUPTED
    except _Unwritable as error:
        # Whoever closed the pipe knows; a full disk is news.
        if not isinstance(error.__cause__, BrokenPipeError):
            print(f"the report cannot be written: {error.__cause__}", file=sys.stderr)
        # What is still in the buffer would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_JUDGED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m snakepit.conformance",
        description="Drives a program that claims to be a Snakepit worker through every rule of "
        "docs/protocol.md.",
        epilog="exit codes: 0 all is well; 1 a rule is broken; 2 nothing was judged, or the report "
        "could not be written; 130 interrupted",
    )
    parser.add_argument("--list", action="store_true", help="list the checks and what they say")
    parser.add_argument(
        "--select",
        action="extend",
        type=lambda names: names.split(","),
        default=[],
        metavar="NAME",
        help="these checks only: names or patterns like 'cancel*', with commas; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds that anything may take (default: %(default)g)",
    )
    parser.add_argument(
        "--bare", action="store_true", help="start the command itself, with no shim before it"
    )
    parser.add_argument("command", nargs="*", metavar="-- CMD", help="the worker's command")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 is needed, not {text}")
    return value


def _list(asked: argparse.Namespace) -> int:
    from .report import DOCUMENT
    from .runner import chosen_checks

    try:
        checks = chosen_checks(asked.select)
    except ValueError as error:
        return _refused(error)
    if asked.json:
        listed = [
            {"name": check.name, "says": check.says, "see": f"{DOCUMENT}#{check.anchor}"}
            for check in checks
        ]
        _print(json.dumps(listed, ensure_ascii=False, indent=1))
    else:
        _print("\n".join(f"{check.name:18} {check.says}" for check in checks))
    return 0


def _run(asked: argparse.Namespace) -> int:
    from .launch import NoBench
    from .report import Report
    from .runner import run

    if not asked.command:
        _parser().print_help(sys.stderr)
        return NOT_JUDGED
    findings: list[Finding] = []

    def found(finding: Finding) -> None:
        findings.append(finding)
        if not asked.json:
            _print(finding)

    try:
        report = run(
            asked.command,
            select=asked.select,
            timeout=asked.timeout,
            bare=asked.bare,
            on_finding=found,
        )
    except ValueError as error:
        return _refused(error)
    except ModuleNotFoundError as error:
        return _refused(f"{error}; pip install 'snakepit-pool[conformance]'")
    except NoBench as error:
        report = Report(tuple(findings), str(error))
    except KeyboardInterrupt:
        report = Report(tuple(findings), "interrupted")
    _print(report.to_json() if asked.json else report.summary())
    if report.stopped == "interrupted":
        return INTERRUPTED
    if report.failed:
        return BROKEN
    return 0 if report.passed else NOT_JUDGED


def _refused(reason: object) -> int:
    print(reason, file=sys.stderr)
    return NOT_JUDGED


def _print(text: object) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        raise _Unwritable from error


if __name__ == "__main__":
    sys.exit(main())
