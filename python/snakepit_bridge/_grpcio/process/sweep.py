"""Ends processes by the mark in their environment: those that no shim has below it any more.

As ``process/sweep.rs`` of the core does. A look at ``/proc`` sees no instant of it, so it is looked
until two looks have found nothing.
"""

from __future__ import annotations

import _signal
import posix
from _socket import AF_UNIX, SOCK_DGRAM, socket
from time import monotonic, sleep

from .group import of_process as group_of
from .group import of_run
from .tree import environ, kill_descendants, listing, read, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHIM = b"snakepit-shim"
"""What a shim is called in process lists."""

_VARIABLE = b"SNAKEPIT_RUN"
_HEX = frozenset("0123456789abcdef")
_LIMIT = 3.0
"""Seconds after which what will not go is given up."""
_PAUSE = 0.001
_TREE_PASSES = 3
"""What dies hands its children over, in reach of the next pass."""


def token() -> str:
    """The mark of this process's worker, where its host marks them: run and number."""
    text = posix.environ.get(_VARIABLE, b"").decode("ascii", "replace")
    run, _, number = text.partition("-")
    # Anything shorter might mark processes of others.
    return text if len(run) == 32 and _HEX.issuperset(run) and number.isdigit() else ""


def sweep_for_siblings(token: str) -> None:
    """For a shim whose host died: end what siblings of it have left that were killed.

    Unless another sibling is at it; of thousands, each would look at all the others.
    """
    run = token.partition("-")[0]
    turn = socket(AF_UNIX, SOCK_DGRAM)
    try:
        # A name that one process at a time can have; nobody listens at it.
        turn.bind(b"\0snakepit-sweep-" + run.encode())
        mark = _VARIABLE + b"=" + run.encode() + b"-"

        def marks(entry: bytes) -> bool:
            return entry.startswith(mark)

        # Shims of this run see to what is below them, and more thoroughly.
        _sweep(marks, lambda pid: _is_guarded(pid, marks))
        group = group_of(token)
        for left in of_run(group, run) if group is not None else ():
            left.end()
    except OSError:
        return  # it is another's turn
    finally:
        turn.close()


def end_in_place_of_shim(shim: int, token: str, patience: float) -> None:
    """For a worker whose host is gone and whose shim has not ended it: it is stopped, or dead.

    Ends all that this worker started, then its own group, this process included. Blocks for
    ``patience`` seconds first: the shim does it better. Returns where this process leads no group.
    """
    if posix.getppid() == shim:
        # One that was stopped then does its work.
        _kill(shim, _signal.SIGCONT)
    sleep(patience)
    # Before they are below nobody; what has left this tree already carries the mark.
    for _ in range(_TREE_PASSES):
        kill_descendants()
    if token:
        mark = _VARIABLE + b"=" + token.encode()
        # Not the shim: its end is ours, and there is work left.
        _sweep(lambda entry: entry == mark, lambda pid: pid == shim)
    if posix.getppid() == shim:
        _kill(shim, _signal.SIGKILL)
    if group := group_of(token):
        group.kill()
    # Only a group of our own: an adapter may have joined another.
    if posix.getpgrp() == posix.getpid():
        posix.killpg(posix.getpgrp(), _signal.SIGKILL)


def _sweep(marks: Callable[[bytes], bool], spares: Callable[[int], bool]) -> None:
    until = monotonic() + _LIMIT
    clean_looks = 0
    while clean_looks < 2 and monotonic() < until:
        clean_looks = 0 if _look(marks, spares) else clean_looks + 1
        sleep(_PAUSE)


def _look(marks: Callable[[bytes], bool], spares: Callable[[int], bool]) -> bool:
    """One look; true if there was something to end."""
    found = False
    for name in listing("/proc"):
        pid = int(name) if name.isdigit() else 0
        if pid and pid != posix.getpid() and _is_marked(pid, marks) and not spares(pid):
            found = _kill_if(pid, marks) or found
    return found


def _is_marked(pid: int, marks: Callable[[bytes], bool]) -> bool:
    return any(map(marks, environ(pid).split(b"\0")))


def _kill_if(pid: int, marks: Callable[[bytes], bool]) -> bool:
    try:
        pidfd = posix.pidfd_open(pid)
    except (OSError, AttributeError):
        return False  # it ended; without pidfds it is not certain who has the number now
    try:
        # Again, now that the number cannot be reused.
        if not _is_marked(pid, marks):
            return False
        _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
    except OSError:
        return False
    finally:
        posix.close(pidfd)
    return True


def _is_guarded(pid: int, marks: Callable[[bytes], bool]) -> bool:
    """Whether it is below a shim of those that are marked, or is one.

    That of a worker which is host to pools of its own does nothing as long as that worker lives.
    """
    while pid > 1:
        seen = stat(pid)
        if seen is None:
            return False
        if read(f"/proc/{pid}/comm").rstrip(b"\n") == SHIM and _is_marked(pid, marks):
            return True
        pid = seen[0]
    return False


def _kill(pid: int, signal: int) -> None:
    try:
        posix.kill(pid, signal)
    except OSError:
        return
