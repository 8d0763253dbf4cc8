"""Runs checks over a worker, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from snakepit._source import find_program

from .check import CHECKS, Bench, Check, Skip, Violation, plain_words
from .launch import Launch, ProgramWorker
from .protocol import messages
from .report import DOCUMENT, Finding, Report

TIMEOUT = 10.0
NO_WORKER = "it never sent a frame, so it is no worker yet"
NEEDS_NO_WORKER = "nothing-left"


def run(
    worker: Sequence[str] | Launch,
    *,
    select: Iterable[str] = (),
    timeout: float = TIMEOUT,
    bare: bool = False,
    on_finding: Callable[[Finding], object] = lambda finding: None,
) -> Report:
    """Drive a worker through every rule of the protocol.

    A program that fails a check and never sent a frame is no worker: the report then says so in
    ``stopped``, and has no findings for the checks that are left.

    Args:
        worker: A command, or how to start one of ours (``PythonWorker``).
        select: Names of checks, or patterns like ``cancel*``; none: all of them.
        timeout: Seconds that anything may take. A worker that hangs costs it once a check.
        bare: Start the command itself, with no shim before it.
        on_finding: Called with each finding as it is made.

    Raises:
        ValueError: The command is no program, there is no check of that name, or the timeout is
            no finite number above 0.
        NoBench: This machine let no worker start.
        ModuleNotFoundError: grpcio or protobuf is missing.
    """
    chosen = chosen_checks(select)
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout: a finite number of seconds above 0 is needed, not {timeout!r}")
    launch = _launch(worker, bare) if isinstance(worker, Sequence) else worker
    import grpc  # noqa: F401, here and not in the midst of a check

    messages()
    bench = Bench(launch, timeout)
    findings: list[Finding] = []
    stopped = ""
    try:
        for check in chosen:
            if stopped and check.name != NEEDS_NO_WORKER:
                continue
            findings.append(_judged(check, bench))
            on_finding(findings[-1])
            if findings[-1].outcome == "failed" and bench.mute:
                stopped = NO_WORKER
    finally:
        bench.close()
    return Report(tuple(findings), stopped)


def chosen_checks(select: Iterable[str]) -> list[Check]:
    """The checks that one of ``select`` names or matches, in the order in which they run.

    Raises:
        ValueError: One of them matches none.
    """
    from fnmatch import fnmatchcase

    from . import checks as _all_of_them  # noqa: F401, fills CHECKS

    patterns = list(select)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in CHECKS):
            import difflib

            close = difflib.get_close_matches(pattern, CHECKS, 1)
            hint = f"did you mean {close[0]}?" if close else "--list names them"
            raise ValueError(f"there is no check {pattern}; {hint}")
    return [
        check
        for name, check in CHECKS.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _launch(command: Sequence[str], bare: bool) -> ProgramWorker:
    if isinstance(command, str):
        raise ValueError(f"a command is a list of words: {command.split()!r}, not {command!r}")
    if not command:
        raise ValueError("name the command of a worker")
    try:
        program = find_program(command[0])
    except LookupError as error:
        raise ValueError(str(error)) from None
    return ProgramWorker((program, *command[1:]), shim=not bare)


def _judged(check: Check, bench: Bench) -> Finding:
    see = f"{DOCUMENT}#{check.anchor}"
    bench.printed = ""
    try:
        # What starts a worker may fail too, before the check has said a word.
        with plain_words():
            check.judge(bench)
    except Skip as skip:
        return Finding(check.name, check.says, "skipped", see, reason=str(skip))
    except Violation as broken:
        bench.drop()  # nobody knows what it is up to; and now it has printed all
        return Finding(
            *(check.name, check.says, "failed", see),
            expected=broken.expected,
            got=broken.got,
            printed=bench.printed,
        )
    return Finding(check.name, check.says, "passed", see)
