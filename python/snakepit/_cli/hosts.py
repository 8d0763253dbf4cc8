"""Which running host, and which of its workers, a command means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from snakepit._cli import output
from snakepit._cli.outcome import Failed, Status

if TYPE_CHECKING:
    from snakepit._control import HostSocket

HostOption = Annotated[
    int | None,
    typer.Option(
        "--host",
        metavar="PID",
        help="Only the host process of that number. Default: every host of this user.",
        show_default=False,
    ),
]
WorkerArgument = Annotated[
    str,
    typer.Argument(
        metavar="POOL/SLOT",
        help="The worker, as status shows it; POOL#ID/SLOT where pools of one host share a name.",
        show_default=False,
    ),
]


class Target(NamedTuple):
    """A worker, as the command line names it."""

    pool: str
    id: int | None
    slot: int


def told(socket: HostSocket) -> dict[str, Any]:
    """The status of a host."""
    return socket.ask("status")


def running(host: int | None) -> list[HostSocket]:
    """The hosts that are meant, one at least.

    Raises:
        Failed: There is none.
    """
    from snakepit._control import find

    found = find()
    sockets = [it for it in found.sockets if host is None or it.pid == host]
    if sockets:
        return sockets
    if host is not None and any(it.pid == host for it in found.stale):
        raise Failed(f"host {host} was killed", "snakepit cleanup", Status.NO_HOST)
    if host is not None and found.sockets:
        known = ", ".join(str(it.pid) for it in found.sockets)
        raise Failed(
            f"no running host {host}; there is: {known}", "snakepit status", Status.NO_HOST
        )
    what = "no running host" if host is None else f"no running host {host}"
    raise Failed(what, _remedy(len(found.stale), found.others), Status.NO_HOST)


def _remedy(stale: int, others: list[int]) -> str:
    if stale:
        return f"snakepit cleanup  # {stale} killed, and left their run folders"
    if others:
        return f"sudo -u '#{others[0]}' snakepit status  # user {others[0]} has some, maybe"
    return "a host is seen while it has a pool that has not control='off'; see docs/operating.md"


def failed(error: Exception) -> Failed:
    """What a host refused, as a command ends with it."""
    from snakepit._control import ControlError

    assert isinstance(error, ControlError)
    remedies = {
        "ambiguous": "name it as POOL#ID/SLOT",
        "pool": "snakepit status",
        "slot": "snakepit status",
        "read_only": 'the program that makes the pool has to say control="admin"',
        "silent": "snakepit status",
    }
    status = Status.NO_HOST if error.kind == "lost" else Status.FAILED
    return Failed(error.message, remedies.get(error.kind), status)


def target(text: str) -> Target:
    """What ``text`` names.

    Raises:
        typer.BadParameter: It is no worker's name.
    """
    parts = re.fullmatch(r"([^/#]+)(?:#([0-9]{1,18}))?/([0-9]{1,9})", text)
    if parts is None:
        raise typer.BadParameter(
            f"{text!r} is no worker: POOL/SLOT is, like default/0", param_hint="POOL/SLOT"
        )
    pool, number, slot = parts.groups()
    return Target(pool, None if number is None else int(number), int(slot))


def owner(of: Target, host: int | None) -> HostSocket:
    """The host that has the pool.

    Raises:
        Failed: None has, or several have.
    """
    from snakepit._control import ControlError

    sockets = running(host)
    if len(sockets) == 1:
        return sockets[0]
    having, names = list[Any](), set[str]()
    for socket in sockets:
        try:
            pools = told(socket)["pools"]
        except ControlError as error:
            output.say(f"{error.message}; not asked")
            continue
        names.update(str(pool["name"]) for pool in pools)
        if any(pool["name"] == of.pool for pool in pools):
            having.append(socket)
    if len(having) == 1:
        return having[0]  # type: ignore[no-any-return]
    if not having:
        there = ", ".join(sorted(names)) or "none"
        raise Failed(f"no host has a pool {of.pool!r}; there is: {there}", "snakepit status")
    pids = ", ".join(str(socket.pid) for socket in having)
    raise Failed(f"hosts {pids} have a pool {of.pool!r}", "say which: --host PID")
