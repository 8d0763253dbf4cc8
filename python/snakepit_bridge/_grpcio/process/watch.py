"""The shim's only work: wait for the end of the worker or of the host, then end what is left.

.. code-block:: text

    worker dead ──▶ tell the host how, at once ─┐
                                                ├──▶ kill and reap the tree until none is left,
    host dead, or it hung up ───────────────────┘    then exit with the worker's code

The host's end is seen twice: by its pidfd, and by the socket. Neither is enough: a child that the
host forked may hold the socket, and a host that hangs up lives on. A host that died cannot end what
a killed sibling of this shim has left: that is swept too. The socket is never read here;
what is in it is the worker's.
"""

from __future__ import annotations

import _signal
import posix
import select
from time import monotonic

from .group import of_process as group_of
from .sweep import SHIM, sweep_for_siblings, token
from .system import set_name, signal_descriptor
from .tree import is_ending, kill_descendants, listing, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .control import Control

ORPHANED = 70
"""Exit code of a process whose host or shim was gone before it could become anything."""
BROKEN = 71
"""Exit code of a shim that could not do its work; the worker dies with it."""

_PARENT_CHECK_MS = 200
"""How often the parent is asked for where the host has no pidfd."""
_GIVE_UP_AFTER = 3.0
"""When all that is left refuses to be signalled for so many seconds, it is not ours to kill."""

_WALL = 0x40000000
_HUNG_UP = 0x2000  # POLLRDHUP
_EXITED = 1  # CLD_EXITED


class Host:
    """The host as the kernel knows it; ``pidfd`` is None where there are none."""

    def __init__(self, pid: int, pidfd: int | None) -> None:
        self.pid = pid
        self.pidfd = pidfd


def pidfd_of(pid: int) -> int | None:
    try:
        return posix.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


def watch(control: Control, host: Host, worker: int) -> int:
    """Watch over ``worker``; the code to exit with, once nothing of the tree is left."""
    return _Watch(control, host, worker).until_the_end()


class _Watch:
    def __init__(self, control: Control, host: Host, worker: int) -> None:
        # All of them: whoever means to stop a worker addresses the worker.
        _signal.pthread_sigmask(_signal.SIG_SETMASK, _signal.valid_signals())
        self._control = control
        self._host = host
        self._worker = worker
        self._token = token()
        self._group = group_of(self._token)
        self._worker_end: tuple[int, int] | None = None
        """Set once the worker is reaped."""
        self._child_signal = signal_descriptor(_signal.SIGCHLD)
        # A thread of a preloaded library may swallow SIGCHLD; the news must not depend on it.
        self._worker_pidfd = pidfd_of(worker)
        self._let_go_of_the_rest()
        seen = stat(worker)
        control.worker_is(worker, 0 if seen is None else seen[1], self._worker_pidfd)

    def _let_go_of_the_rest(self) -> None:
        """Keep neither a pipe open, whose end the host awaits, nor a directory busy."""
        set_name(SHIM)
        posix.chdir("/")
        posix.dup2(0, 1)
        posix.dup2(0, 2)
        keep = {self._control.fileno(), self._child_signal, self._host.pidfd, self._worker_pidfd}
        for name in listing("/proc/self/fd"):
            descriptor = int(name)
            if descriptor > 2 and descriptor not in keep:
                try:
                    posix.close(descriptor)
                except OSError:
                    continue  # that of the listing

    def until_the_end(self) -> int:
        while True:
            reaped = self._reap()
            if self._worker_end is not None:
                self._control.worker_exited(*self._worker_end)
                break
            if reaped is None or self._host_is_gone():
                break
        self._end_tree()
        if self._group is not None:
            self._group.remove()
        # It hangs up before a pidfd tells of its end: its descriptors are closed first.
        if self._token and is_ending(self._host.pid):
            sweep_for_siblings(self._token)
        if self._worker_end is None:
            return ORPHANED
        code, status = self._worker_end
        return status if code == _EXITED else 128 + status

    def _host_is_gone(self) -> bool:
        """Sleep until something may have changed; true if that is the host's end."""
        poll = select.poll()
        poll.register(self._control.fileno(), _HUNG_UP)
        poll.register(self._child_signal, select.POLLIN)
        if self._host.pidfd is not None:
            poll.register(self._host.pidfd, select.POLLIN)
        if self._worker_pidfd is not None:
            poll.register(self._worker_pidfd, select.POLLIN)
        timeout = _PARENT_CHECK_MS if self._host.pidfd is None else None
        happened = {descriptor for descriptor, _ in poll.poll(timeout)}
        if self._worker_pidfd in happened:
            # Once only: a debugger may keep a dead worker from being reaped, and this would spin.
            self._worker_pidfd = None
        self._drain()
        if self._control.fileno() in happened:
            return True
        if self._host.pidfd is None:
            return posix.getppid() != self._host.pid
        return self._host.pidfd in happened

    def _reap(self) -> int | None:
        """Reap all that has ended, adopted daemons too: how many; None when no child is left."""
        reaped = 0
        while True:
            try:
                ended = posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | _WALL)
            except ChildProcessError:
                return None
            if ended is None:
                return reaped
            reaped += 1
            # Once: an adopted daemon may have got the number since.
            if ended.si_pid == self._worker and self._worker_end is None:
                self._worker_end = ended.si_code, ended.si_status

    def _end_tree(self) -> None:
        if self._group is not None:
            # Also who changed its user, which the walk below may not signal.
            self._group.kill()
        last_success = monotonic()
        rounds = 0
        poll = select.poll()
        poll.register(self._child_signal, select.POLLIN)
        while True:
            killed = kill_descendants()
            if self._worker_end is None:
                # Also where /proc shows nothing. Not reaped yet, so the number is still its own.
                killed += self._kill_worker()
            reaped = self._reap()
            if reaped is None:
                return
            if killed + reaped:
                last_success = monotonic()
            elif monotonic() - last_success > _GIVE_UP_AFTER:
                return
            # Most end within a millisecond; what takes longer is freeing memory.
            poll.poll(1 if rounds < 50 else 20)
            self._drain()
            rounds += 1

    def _kill_worker(self) -> int:
        try:
            posix.kill(self._worker, _signal.SIGKILL)
        except OSError:
            return 0
        return 1

    def _drain(self) -> None:
        try:
            while posix.read(self._child_signal, 4096):
                continue
        except BlockingIOError:
            return
