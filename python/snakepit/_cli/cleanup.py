"""``snakepit cleanup``: what killed hosts have left."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from snakepit._cli import output
from snakepit._cli.outcome import Status


def cleanup(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Where to look for run folders; by default in $XDG_RUNTIME_DIR, /run/user/UID, "
            "$TMPDIR and /tmp. Name others where the hosts had another environment.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> int:
    """End what killed hosts of this user have left.

    Their processes are ended, their run folders removed. What belongs to a living host is not
    touched. Hosts do this by themselves with their first pool.
    """
    from snakepit import _cleanup

    done = _cleanup.cleanup(*(folders or ()))
    if as_json:
        output.out_json(done._asdict())
    else:
        for pid in done.ended:
            output.out(f"ended process {pid}")
        output.out(
            f"{len(done.hosts)} dead hosts, {len(done.ended)} processes ended, "
            f"{done.folders} run folders removed"
        )
    for pid in done.refused:
        output.say(f"process {pid} {_why_refused(pid)}")
    return Status.FAILED if done.refused else Status.DONE


def _why_refused(pid: int) -> str:
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "refused the signal and has ended since"
    if owner != os.geteuid():
        return f"belongs to user {owner} now: end it as that user, or as root"
    return "may not be ended: what confines this process (seccomp, AppArmor, SELinux) forbids it"
