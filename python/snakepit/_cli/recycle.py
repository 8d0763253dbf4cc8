"""``snakepit recycle``: a fresh worker in the place of one."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from snakepit._cli import hosts, output
from snakepit._cli.app import SETTINGS
from snakepit._cli.hosts import HostOption, WorkerArgument
from snakepit._cli.outcome import Failed, Status

if TYPE_CHECKING:
    from snakepit._control import HostSocket

_SERVES = ("ready", "busy", "stalled", "draining")
_SOONEST, _LATEST = 0.05, 0.5
"""Seconds from one look to the next."""
_PATIENCE = 10.0
"""Seconds for a host to answer one look."""


class _Command(TyperCommand):
    """Takes ``--wait`` with and without seconds behind it, wherever it is written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        written, known = list[str](), True
        for at, each in enumerate(args):
            known = known and each != "--"
            alone = known and each == "--wait" and not _is_duration(args[at + 1 : at + 2])
            written.append("--wait=none" if alone else each)
        return super().parse_args(ctx, written)


def _is_duration(following: list[str]) -> bool:
    # What only looks like one is told as a wrong one; the name of a worker has a slash.
    return any(re.fullmatch(r"none|-?[0-9.][^/]*", each) for each in following)


app = typer.Typer(
    help="Have a worker replaced once it has done what it has to do.",
    **{**SETTINGS, "no_args_is_help": False},
)


@app.command(cls=_Command)
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
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait",
            metavar="[SECONDS]",
            help="Return when the replacement is ready; after so many seconds with status 4. "
            "A unit may follow: 90s, 5m. Without a number: however long it takes.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Have a worker replaced once it has done what it has to do.

    No call fails. Where the pool has recycle=, the replacement starts first and the worker serves
    until that is ready. Returns when that is asked for; with --wait when it is done.
    """
    from snakepit._cli.words import seconds
    from snakepit._control import ControlError

    limit = None if wait is None else seconds(wait, "--wait")
    wanted = hosts.target(worker)
    socket = hosts.owner(wanted, host)
    until = None if limit is None else time.monotonic() + limit
    try:
        told = socket.ask(
            "recycle", pool=wanted.pool, id=wanted.id, slot=wanted.slot, generation=generation
        )
        row = None if wait is None else _awaited(socket, wanted, told["generation"], until)
    except ControlError as error:
        raise hosts.failed(error) from None
    name = f"{told['pool']}/{told['slot']}"
    if wait is None or row is None:
        if as_json:
            output.out_json(told)
        else:
            output.out(f"{name}: the worker of generation {told['generation']} is being replaced")
        return
    replaced = row["generation"] > told["generation"]
    fresh = replaced and row["state"] in _SERVES
    if as_json:
        made = {"generation": row["generation"], "pid": row["pid"]} if fresh else None
        output.out_json({**told, "replacement": made})
    if not fresh:
        raise _not_ready(row, name, replaced)
    if not as_json:
        output.out(
            f"{name}: the worker of generation {told['generation']} is replaced; "
            f"generation {row['generation']} pid {row['pid']} is ready"
        )


def _awaited(
    socket: HostSocket, wanted: hosts.Target, old: int, until: float | None
) -> dict[str, Any]:
    """The worker as it was at the last look: ready, unable to start, or out of time."""
    pause = _SOONEST
    while True:
        left = _PATIENCE if until is None else until - time.monotonic()
        row = socket.ask(
            "worker",
            patience=min(_PATIENCE, max(left, 1.0)),
            pool=wanted.pool,
            id=wanted.id,
            slot=wanted.slot,
        )
        is_new = row["generation"] > old
        left = pause if until is None else until - time.monotonic()
        if (is_new and row["state"] in (*_SERVES, "degraded")) or left <= 0:
            return row
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LATEST)


def _not_ready(row: dict[str, Any], name: str, replaced: bool) -> Failed:
    """Why there is no replacement, as far as it can be seen, and where to look."""
    from snakepit._cli.rows import doing, span

    next_one = row if replaced else row["replacement"]
    if replaced and row["state"] == "degraded":
        return Failed(f"{name}: its replacement cannot start: {row['failure']}", "snakepit status")
    if next_one is None:
        what = f"generation {row['generation']} is {row['state']} still, and runs: {doing(row)}"
        return Failed(
            f"{name} is not replaced yet: {what}", f"snakepit stack {name}", Status.TIMED_OUT
        )
    state, since = next_one.get("state", "starting"), span(next_one["state_for"])
    what = f"generation {next_one['generation']} is {state}, for {since} now"
    if next_one["failure"]:
        what += f"; the try before it failed: {next_one['failure']}"
    look = f"snakepit stack {name} --generation {next_one['generation']}"
    return Failed(f"{name} is not replaced yet: {what}", look, Status.TIMED_OUT)
