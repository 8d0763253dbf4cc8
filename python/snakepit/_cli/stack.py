"""``snakepit stack``: where a worker's threads are."""

from __future__ import annotations

from typing import Annotated

import typer

from snakepit._cli import hosts, output
from snakepit._cli.hosts import HostOption, WorkerArgument


def stack(
    worker: WorkerArgument,
    host: HostOption = None,
    generation: Annotated[
        int | None,
        typer.Option(
            "--generation",
            metavar="N",
            min=1,
            help="Only that worker; also one that is about to take the place, or has left it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Show where the threads and asyncio tasks of a worker are, and let it go on.

    Its interpreter says so, between two instructions; also while its adapter loads. Where C code
    holds the interpreter, its fault handler says what it sees meanwhile: threads, and no tasks.
    """
    from snakepit._control import ControlError, printable

    wanted = hosts.target(worker)
    socket = hosts.owner(wanted, host)
    try:
        told = socket.ask(
            "stack", pool=wanted.pool, id=wanted.id, slot=wanted.slot, generation=generation
        )
    except ControlError as error:
        raise hosts.failed(error) from None
    if as_json:
        output.out_json(told)
        return
    head = f"{told['pool']}/{told['slot']} generation {told['generation']} pid {told['pid']}"
    if told.get("state") == "starting":
        head += "; it is starting"
    if told["by"] != "interpreter":
        head += "; its interpreter is held, this is from outside and without asyncio tasks"
    output.out(output.styled(printable(head), "bold"))
    output.out(printable(str(told["text"]).rstrip("\n").expandtabs()))
