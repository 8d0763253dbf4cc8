"""System calls that Python does not wrap, by ctypes. Nothing here knows what a worker is."""

from __future__ import annotations

import _signal
import posix

# Without libffi Python is built without ctypes; `boot` reports the ImportError.
from ctypes import CDLL, byref, c_char_p, c_int, c_long, c_ubyte, c_uint64, c_ulong, get_errno

_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 15, 36, 38
_CLONE3 = 435  # of every architecture
_CLONE_INTO_CGROUP = 1 << 33
_SFD_FLAGS = posix.O_CLOEXEC | posix.O_NONBLOCK
_SIGSET_BYTES = 128
"""The C libraries of Linux all have sets of 1024 signals."""

_ZERO = c_ulong(0)
_libc = CDLL(None, use_errno=True)


def set_child_subreaper() -> None:
    """Have orphans of this process's tree come to it instead of to init."""
    _prctl(_SET_CHILD_SUBREAPER, c_ulong(1))


def set_death_signal(signal: int) -> None:
    """Have the kernel send ``signal`` to this process when its parent's thread ends."""
    _prctl(_SET_PDEATHSIG, c_ulong(signal))


def set_no_new_privs() -> None:
    """Have nothing that this process executes gain privileges by that, for good."""
    _prctl(_SET_NO_NEW_PRIVS, c_ulong(1))


def set_name(name: bytes) -> None:
    """Name this thread; at most 15 bytes."""
    _prctl(_SET_NAME, c_char_p(name))


def clone_into(group: int) -> int:
    """As ``fork``, but the child begins its life in a control group, by its folder's descriptor.

    It is fit for a ``fork`` of its own and nothing else: neither Python nor the C library has been
    told that this is another process.
    """
    arguments = (c_uint64 * 11)()
    arguments[0], arguments[4], arguments[10] = _CLONE_INTO_CGROUP, _signal.SIGCHLD, group
    child: int = _libc.syscall(c_long(_CLONE3), byref(arguments), c_ulong(88))
    if child < 0:
        raise _error()
    return child


def signal_descriptor(signal: int) -> int:
    """A descriptor, close-on-exec and non-blocking, that a pending ``signal`` makes readable."""
    signals = (c_ubyte * _SIGSET_BYTES)()
    _libc.sigemptyset(byref(signals))
    _libc.sigaddset(byref(signals), signal)
    descriptor: int = _libc.signalfd(-1, byref(signals), _SFD_FLAGS)
    if descriptor < 0:
        raise _error()
    return descriptor


def _prctl(option: int, argument: c_ulong | c_char_p) -> None:
    # All in their full width: the rest of a register may hold anything.
    if _libc.prctl(c_int(option), argument, _ZERO, _ZERO, _ZERO) < 0:
        raise _error()


def _error() -> OSError:
    errno = get_errno()
    return OSError(errno, posix.strerror(errno))
