"""``snakepit recycle``: a fresh worker in the place of one."""

from __future__ import annotations

from typing import Annotated

import typer

from snakepit._cli import hosts, output
from snakepit._cli.hosts import HostOption, WorkerArgument


def recycle(
    worker: WorkerArgument,
    host: HostOption = None,
    generation: Annotated[
        int | None,
        typer.Option(
            "--generation",
            metavar="N",
            min=1,
            help="Only if that worker, and not a later one, is still in the slot.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Have a worker replaced once it has done what it has to do.

    No call fails. Where the pool has recycle=, the replacement starts first and the worker serves
    until that is ready. Does not wait for it.
    """
    from snakepit._control import ControlError

    wanted = hosts.target(worker)
    socket = hosts.owner(wanted, host)
    try:
        told = socket.ask(
            "recycle", pool=wanted.pool, id=wanted.id, slot=wanted.slot, generation=generation
        )
    except ControlError as error:
        raise hosts.failed(error) from None
    if as_json:
        output.out_json(told)
    else:
        name = f"{told['pool']}/{told['slot']}"
        output.out(f"{name}: the worker of generation {told['generation']} is being replaced")
