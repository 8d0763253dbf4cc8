"""``snakepit stack``: where a worker's threads are."""

from __future__ import annotations

from typing import Annotated

import typer

from snakepit._cli import hosts, output
from snakepit._cli.hosts import HostOption, WorkerArgument


def stack(
    worker: WorkerArgument,
    host: HostOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Show where the threads of a worker are, and let it go on.

    Its interpreter says so, between two instructions. Where C code holds the interpreter, its fault
    handler says what it sees meanwhile.
    """
    from snakepit._control import ControlError, printable

    wanted = hosts.target(worker)
    socket = hosts.owner(wanted, host)
    try:
        told = socket.ask("stack", pool=wanted.pool, id=wanted.id, slot=wanted.slot)
    except ControlError as error:
        raise hosts.failed(error) from None
    if as_json:
        output.out_json(told)
        return
    held = "" if told["by"] == "interpreter" else "; its interpreter is held, this is from outside"
    head = f"{told['pool']}/{told['slot']} generation {told['generation']} pid {told['pid']}{held}"
    output.out(output.styled(printable(head), "bold"))
    output.out(printable(str(told["text"]).rstrip("\n").expandtabs()))
