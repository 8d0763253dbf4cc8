"""``snakepit doctor``: what is wrong here, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from snakepit._cli import output
from snakepit._cli.outcome import Status

if TYPE_CHECKING:
    from snakepit._cli.check import Check


def doctor(
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter",
            metavar="MODULE:CLASS",
            help="Start a worker with this adapter too.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PYTHON",
            help="The workers' interpreter: a file, a name in PATH, or the folder of a virtual "
            "environment. Default: this one.",
        ),
    ] = None,
    security: Annotated[
        bool,
        typer.Option(
            "--security",
            help="Look at what protects a pool, on one that is started: sockets, tokens, secrets, "
            "core files, ports, and that nothing is left of it.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an object with all checks.")
    ] = False,
) -> int:
    """Check this installation and machine; say what mends what is wrong.

    ✓ is right, ✗ is wrong, – is something that one may want. Exit status 1 where anything is wrong.
    """
    from snakepit._cli.signals import put_away_on_sigterm

    found = []
    with put_away_on_sigterm():
        for check in _checks(adapter, python, security):
            found.append(check)
            if not as_json:
                _show(check)
    wrong = [check for check in found if check.good is False]
    if as_json:
        output.out_json({"ok": not wrong, "checks": [check.as_json() for check in found]})
    elif wrong:
        output.out(f"{len(wrong)} of {len(found)} checks failed")
    return Status.FAILED if wrong else Status.DONE


def _checks(adapter: str | None, python: str | None, security: bool) -> Iterator[Check]:
    from snakepit._cli import installation, machine, started
    from snakepit._cli.check import guarded

    yield from guarded("host", installation.host)
    yield from guarded("versions", installation.versions)
    yield from guarded("grpcio end", installation.grpcio)
    yield from guarded("kernel", machine.kernel)
    yield from guarded("shared memory", machine.shared_memory)
    yield from guarded("open files", machine.limits)
    yield from guarded("control groups", machine.control_groups)
    # Before a pool starts: the first one of a process cleans up.
    yield from guarded("leftovers", machine.leftovers)
    yield from guarded("hardware", machine.hardware)
    yield from guarded("worker", partial(started.worker, python))
    if adapter is not None:
        yield from guarded("adapter", partial(started.adapter, adapter, python))
    if security:
        from snakepit._cli import security as secure

        yield from secure.checks()


def _show(check: Check) -> None:
    output.out(f"{output.mark(check.good)} {check.name}: {check.told}")
    if check.remedy is not None:
        output.out(f"    {check.remedy}")
