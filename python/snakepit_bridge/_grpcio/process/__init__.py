"""From a bare interpreter to a worker, without native code: what ``boot`` takes for ``_core``.

``boot`` loads this package by its path, before ``site`` and before there is a ``snakepit_bridge``:
at the top of its modules only what is built in may be imported, and from modules beside them
(``from .tree import stat``; ``from . import tree`` would look for the parents). What is loaded here
stays in the shim's memory.

Not here: the line (``_grpcio.line``), which ``attach`` imports once the packages can be found.
"""

from __future__ import annotations

import posix
import sys

from .become import become
from .control import Control
from .start import Start, read_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from snakepit_bridge._grpcio.line import Line

REFUSED = 78  # EX_CONFIG, as of boot
_EXEC_DEFAULTS = ("SIGPIPE", "SIGXFSZ")

why_not_native = ""
"""Why this end serves and not the native one, for an error message; set by ``boot``."""

_control: Control | None = None
_start: Start | None = None


def become_worker() -> None:
    """Turn this fresh ``python -S`` into a shim and its worker; returns in the worker only.

    Raises:
        OSError: Descriptor 0 is no control socket, or the system refused something; the host has
            been told, where it can be.
    """
    global _control
    _control = become()


def become_program(command: list[str]) -> None:
    """Become another program, which speaks the protocol itself; returns only by raising.

    It finds the control socket at descriptor 0, with nothing read from it yet.

    Raises:
        OSError: The program cannot be run.
        ValueError: A NUL in ``command``.
    """
    import _signal

    posix.dup2(_worker().fileno(), 0)
    # Python ignores these; that would survive exec, and other programs expect neither.
    for name in _EXEC_DEFAULTS:
        _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    posix.execv(command[0], command)


def report_boot_error(message: str) -> None:
    """Tell the host why this worker cannot start, over the control socket."""
    _worker().boot_error(message)


def start_message() -> dict[str, Any]:
    """What the host sent over the control socket; blocks until it is there.

    Raises:
        ConnectionError: The host is gone.
        ValueError: What it sent is no start message.
    """
    global _start
    if _start is None:
        _start = read_start(_worker().await_start())
    return {"sys_path": _start.sys_path, "bridge_path": _start.bridge_path}


def attach(bridge_version: str) -> Line:
    """Dial the host, say hello, wait for Initialize. The thread that calls it must serve.

    Ends the process with a boot error where a package is missing.

    Raises:
        ConnectionError: There is no line to the host.
    """
    from snakepit_bridge._grpcio.forks import not_minded_by_grpc
    from snakepit_bridge._grpcio.packages import missing

    if _start is None:
        raise RuntimeError("read start_message() before you attach to the host")
    with not_minded_by_grpc():
        if text := missing(why_not_native):
            report_boot_error(text)
            sys.exit(REFUSED)

        from snakepit_bridge._grpcio.line import attach

        return attach(_worker(), _start, bridge_version)


def _worker() -> Control:
    if _control is None:
        raise RuntimeError("this process is no worker: no host made it")
    return _control


__all__ = [
    "attach",
    "become_program",
    "become_worker",
    "report_boot_error",
    "start_message",
    "why_not_native",
]
