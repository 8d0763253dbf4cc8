"""``snakepit status``: the pools and workers of running hosts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from snakepit._cli import hosts, output
from snakepit._cli.outcome import Status


def status(
    host: hosts.HostOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: every field, as docs/operating.md has it.")
    ] = False,
) -> int:
    """Show the pools and workers of running hosts.

    Asks each host over its operator socket, which answers while the program is busy or stuck.
    Starts nothing.
    """
    from snakepit._control import ControlError

    answers, silent = list[dict[str, Any]](), list[str]()
    for socket in hosts.running(host):
        try:
            answers.append(hosts.told(socket))
        except ControlError as error:
            silent.append(error.message)
    if as_json:
        flat = [{**answer["host"], "pools": answer["pools"]} for answer in answers]
        output.out_json({"hosts": flat, "silent": silent})
    else:
        output.out("\n\n".join(shown(answer) for answer in answers))
    for message in silent:
        output.fail(message)
    return Status.FAILED if silent else Status.DONE


def shown(answer: dict[str, Any]) -> str:
    """A host's status as text."""
    from snakepit._cli.rows import HEADER, host_line, pool_line, worker_row

    pools = answer["pools"]
    names = [pool["name"] for pool in pools]
    parts = [output.styled(host_line(answer["host"]), "bold")]
    for pool in pools:
        parts.append("")
        parts.append(pool_line(pool, names.count(pool["name"]) > 1))
        parts.append(output.table(HEADER, [worker_row(worker) for worker in pool["workers"]]))
    return "\n".join(parts)
