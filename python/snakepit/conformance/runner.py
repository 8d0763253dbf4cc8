"""Runs checks over a worker, one after the other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence

from .check import CHECKS, Bench, Check, Skip, Violation, plain_words
from .launch import Launch, ProgramWorker
from .report import DOCUMENT, Finding, Report

TIMEOUT = 10.0


def run(
    worker: Sequence[str] | Launch,
    *,
    select: Iterable[str] = (),
    timeout: float = TIMEOUT,
    bare: bool = False,
    on_finding: Callable[[Finding], object] = lambda finding: None,
) -> Report:
    """Drive a worker through every rule of the protocol.

    Args:
        worker: A command, or how to start one of ours (``PythonWorker``).
        select: Names of checks; none: all of them.
        timeout: Seconds that anything may take. A worker that hangs costs it once a check.
        bare: Start the command itself, with no shim before it.
        on_finding: Called with each finding as it is made.

    Raises:
        ValueError: The command is no program, or there is no check of that name.
    """
    chosen = _chosen(select)
    launch = _launch(worker, bare) if isinstance(worker, Sequence) else worker
    bench = Bench(launch, timeout)
    findings = []
    try:
        for check in chosen:
            findings.append(_judged(check, bench))
            on_finding(findings[-1])
    finally:
        bench.close()
    return Report(tuple(findings))


def _chosen(select: Iterable[str]) -> list[Check]:
    from . import checks as _all_of_them  # noqa: F401, fills CHECKS

    names = list(select)
    for name in names:
        if name not in CHECKS:
            import difflib

            close = difflib.get_close_matches(name, CHECKS, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"there is no check {name}{hint}")
    return [check for name, check in CHECKS.items() if not names or name in names]


def _launch(command: Sequence[str], bare: bool) -> ProgramWorker:
    if not command:
        raise ValueError("name the command of a worker")
    program = shutil.which(command[0])
    if program is None:
        raise ValueError(f"there is no program {command[0]}, or it cannot be executed")
    return ProgramWorker((os.path.abspath(program), *command[1:]), shim=not bare)


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
