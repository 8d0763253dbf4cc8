"""Turns a fresh interpreter into a shim and its worker, like ``crates/core``'s ``process/shim.rs``.

.. code-block:: text

    host ── spawns ──▶ python -S ── become() ── forks ──▶ worker (returns)
                           └──▶ shim (never returns; watch.py)

Forked, not exec'ed, and before any import that is not needed for that: the interpreter's pages are
shared, and threads that a later import starts would be lost.
"""

from __future__ import annotations

import _signal
import fcntl
import posix
import resource
from _socket import SO_PEERCRED, SOL_SOCKET, socket

from .control import Control
from .group import of_process as group_of
from .limits import take_on
from .sweep import token
from .system import clone_into, set_child_subreaper, set_death_signal
from .watch import BROKEN, ORPHANED, Host, pidfd_of, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .group import Group

_SO_PEERPIDFD = 77
_REFUSED = 78  # EX_CONFIG, as of boot
_GO_BETWEEN_KILLED = "the process that forks the worker was killed before it had said so"


def become() -> Control:
    """Split this process in two and return in the worker only.

    Expects the control socket at descriptor 0, and leaves ``/dev/null`` there. The worker dies with
    the shim, leads a session of its own, has taken on the limits that its environment tells, and
    writes no core file unless they allow that, or it raises that limit itself.

    Raises:
        OSError: ``EINVAL`` when descriptor 0 is no control socket, ``EOPNOTSUPP`` when the host
            lives in another PID namespace. Later failures have been reported to the host already.
    """
    host = _host_behind(0)
    # The descriptor was opened first: either it is the host's, or the host is dead, and then this
    # process has another parent.
    if posix.getppid() != host.pid:
        posix._exit(ORPHANED)
    control = Control(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    try:
        _prepare()
        shim = posix.getpid()
        child = _fork_worker(group_of(token()))
    except OSError as error:
        _report(control, error)
        raise
    if child:
        _watch_over(control, host, child)
    die_with(shim)
    # A session apart from the shim's: an adapter that kills its own group must not hit it.
    _lead_a_session()
    try:
        take_on()
    except OSError as error:
        _report(control, error)
        posix._exit(_REFUSED)
    if host.pidfd is not None:
        posix.close(host.pidfd)
    return control


def _host_behind(descriptor: int) -> Host:
    """The host, as the process that made the control socket."""
    try:
        peer = socket(fileno=descriptor)
    except OSError as error:
        raise _no_control_socket(error) from None
    try:
        credentials = peer.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
        pid = int.from_bytes(credentials[:4], "little", signed=True)
        try:
            # By the socket, where the kernel can (6.5): that names the host for sure, even dead.
            pidfd: int | None = peer.getsockopt(SOL_SOCKET, _SO_PEERPIDFD)
        except OSError:
            pidfd = None
    except OSError as error:
        raise _no_control_socket(error) from None
    finally:
        peer.detach()
    if pid == 0:
        raise OSError(
            _errno("EOPNOTSUPP"),
            "the host lives in another PID namespace: run worker and host in the same one",
        )
    return Host(pid, pidfd_of(pid) if pidfd is None else pidfd)


def _no_control_socket(error: OSError) -> OSError:
    why = f"descriptor 0 is not a Snakepit control socket: {error.strerror}"
    return OSError(_errno("EINVAL"), why)


def _errno(name: str) -> int:
    import errno

    number: int = getattr(errno, name)
    return number


def _prepare() -> None:
    """What shim and worker have in common."""
    null = posix.open("/dev/null", posix.O_RDONLY | posix.O_CLOEXEC)
    posix.dup2(null, 0)
    posix.close(null)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    # SIG_IGN survives exec and eats every exit status.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    # Away from the terminal's group: Ctrl-C is the host's to answer.
    _lead_a_session()
    set_child_subreaper()
    # A core file delays the news of a death by seconds. The hard limit stays: a worker may want
    # one.
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _report(control: Control, error: OSError) -> None:
    # The host knows these words, and the number at the end.
    number = f" (os error {error.errno})" if error.errno else ""
    control.boot_error(f"this process cannot become a worker: {error.strerror or error}{number}")


def _fork_worker(group: Group | None) -> int:
    """Fork, into the worker's group where it has one; ``process/shim.rs`` says why so.

    Raises:
        OSError: What the system refused. ``EPIPE`` when the go-between was killed before it said
            whom it had made: nothing else is tried, lest there be two workers.
    """
    if group is None:
        return posix.fork()
    reader, writer = posix.pipe()
    try:
        between = _clone_into(group)
        if between == 0:
            _go_between(writer)
            return 0
        if between is None:
            return posix.fork()
        posix.close(writer)
        writer = -1
        return _made(posix.read(reader, 4), group)
    finally:
        posix.close(reader)
        if writer >= 0:
            posix.close(writer)


def _clone_into(group: Group) -> int | None:
    """As ``fork``, for the go-between; None where that is not permitted, or the kernel is older."""
    try:
        folder = posix.open(group.path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        return clone_into(folder)
    except OSError:
        return None
    finally:
        posix.close(folder)


def _made(told: bytes, group: Group) -> int:
    """The worker's number, as the go-between told it, or the error that it had."""
    if len(told) < 4:
        group.kill()
        raise OSError(_errno("EPIPE"), _GO_BETWEEN_KILLED)
    child = int.from_bytes(told, "little", signed=True)
    if child < 0:
        raise OSError(-child, posix.strerror(-child))
    return child


def _go_between(writer: int) -> None:
    """Fork the worker and go; returns in the worker only, once it is the shim's."""
    me = posix.getpid()
    try:
        made = posix.fork()
    except OSError as error:
        made = -(error.errno or _errno("EAGAIN"))
    if made:
        try:
            posix.write(writer, made.to_bytes(4, "little", signed=True))
        finally:
            posix._exit(0)
    # Its end would be taken for the shim's, by the signal that is asked for next.
    while posix.getppid() == me:
        posix.sched_yield()


def _lead_a_session() -> None:
    try:
        posix.setsid()
    except OSError:
        # Only a group's leader is refused, which is apart already.
        return


def die_with(shim: int) -> None:
    """Have the kernel kill this process when its shim ends."""
    try:
        set_death_signal(_signal.SIGKILL)
    except OSError:
        posix._exit(ORPHANED)
    if posix.getppid() != shim:
        posix._exit(ORPHANED)


def _watch_over(control: Control, host: Host, worker: int) -> NoReturn:
    code = BROKEN
    try:
        code = watch(control, host, worker)
    finally:
        # Whatever was raised, it must not get back into the caller, a second time.
        posix._exit(code)
