"""Every error that Snakepit raises.

.. code-block:: text

    SnakepitError
    ├── ConfigError (ValueError)        a parameter or configuration key is wrong
    ├── NotStarted (RuntimeError)       snakepit.start() has not been called
    ├── DeviceNotAvailable              this process sees no such device
    ├── StartError                      no worker can start
    │   └── AdapterSourceError          the adapter's class cannot be found in a worker
    ├── PoolClosed                      the pool was closed
    ├── ForkedPool                      the pool belongs to the parent of this process
    ├── QueueFull                       too many calls wait
    │   └── SessionBusy                 the session's worker has a call, and nobody may wait
    ├── CircuitOpen                     the breaker refuses calls
    ├── CallTimeout (TimeoutError)      the call's deadline passed
    ├── Cancelled (futures.CancelledError)
    ├── SessionLost                     the session's worker is gone, and its state with it
    │   ├── SessionExpired              it was not used for its ttl
    │   └── SessionClosed               it was closed
    ├── SessionQuotaExceeded            as many sessions are open as may be
    ├── ReentrantCall                   a call needs a worker that its own ancestors hold
    ├── WorkerDied                      the worker's process ended during the call
    │   └── PoisonCall                  two workers died under this call
    ├── ToolNotFound                    the adapter has no such tool
    ├── ArgumentError (ValueError, TypeError)  arguments are not what the tool's schema says
    ├── EncodeError (ValueError)        a value cannot travel
    ├── DecodeError (ValueError)        bytes that are no value
    ├── MessageTooLarge                 a value is larger than the pool allows
    └── RemoteError                     the adapter's code raised; RemoteValueError … are both
        ├── RemoteExceptionGroup (ExceptionGroup)
        ├── ShapeMismatch               arrays that do not fit, with their shapes
        ├── DeviceMismatch              tensors on different devices
        └── OutOfMemory                 of a device or the host, with how much was asked for

All are built as ``Class(message, **fields)``; the fields are the class attributes below, so that a
handler reads ``error.exit_code`` and never parses text. All pickle. ``str(error)`` is the message
and, where there is one, what the worker had to say: its traceback, or its last lines on stderr.

An exception of a worker travels as data, never as a pickle: texts, cause, context, notes, a group's
members. Where a pool lists its class (``errors=``), what is raised is an instance of that class as
well, made without its ``__init__``.
"""

# ruff: noqa: N818 (these names say what happened; "Error" behind each would say nothing more)

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

from snakepit import _remote_classes, _remote_error
from snakepit._error import SnakepitError as SnakepitError
from snakepit._remote_classes import (
    RemoteArithmeticError as RemoteArithmeticError,
)
from snakepit._remote_classes import (
    RemoteAssertionError as RemoteAssertionError,
)
from snakepit._remote_classes import (
    RemoteAttributeError as RemoteAttributeError,
)
from snakepit._remote_classes import (
    RemoteBufferError as RemoteBufferError,
)
from snakepit._remote_classes import (
    RemoteConnectionError as RemoteConnectionError,
)
from snakepit._remote_classes import (
    RemoteEOFError as RemoteEOFError,
)
from snakepit._remote_classes import (
    RemoteFileExistsError as RemoteFileExistsError,
)
from snakepit._remote_classes import (
    RemoteFileNotFoundError as RemoteFileNotFoundError,
)
from snakepit._remote_classes import (
    RemoteImportError as RemoteImportError,
)
from snakepit._remote_classes import (
    RemoteIndexError as RemoteIndexError,
)
from snakepit._remote_classes import (
    RemoteKeyError as RemoteKeyError,
)
from snakepit._remote_classes import (
    RemoteLookupError as RemoteLookupError,
)
from snakepit._remote_classes import (
    RemoteMemoryError as RemoteMemoryError,
)
from snakepit._remote_classes import (
    RemoteModuleNotFoundError as RemoteModuleNotFoundError,
)
from snakepit._remote_classes import (
    RemoteNameError as RemoteNameError,
)
from snakepit._remote_classes import (
    RemoteNotImplementedError as RemoteNotImplementedError,
)
from snakepit._remote_classes import (
    RemoteOSError as RemoteOSError,
)
from snakepit._remote_classes import (
    RemoteOverflowError as RemoteOverflowError,
)
from snakepit._remote_classes import (
    RemotePermissionError as RemotePermissionError,
)
from snakepit._remote_classes import (
    RemoteRecursionError as RemoteRecursionError,
)
from snakepit._remote_classes import (
    RemoteRuntimeError as RemoteRuntimeError,
)
from snakepit._remote_classes import (
    RemoteTimeoutError as RemoteTimeoutError,
)
from snakepit._remote_classes import (
    RemoteTypeError as RemoteTypeError,
)
from snakepit._remote_classes import (
    RemoteUnicodeError as RemoteUnicodeError,
)
from snakepit._remote_classes import (
    RemoteValueError as RemoteValueError,
)
from snakepit._remote_classes import (
    RemoteZeroDivisionError as RemoteZeroDivisionError,
)
from snakepit._remote_error import (
    DeviceMismatch as DeviceMismatch,
)
from snakepit._remote_error import (
    OutOfMemory as OutOfMemory,
)
from snakepit._remote_error import (
    RemoteError as RemoteError,
)
from snakepit._remote_error import (
    RemoteExceptionGroup as RemoteExceptionGroup,
)
from snakepit._remote_error import (
    ShapeMismatch as ShapeMismatch,
)
from snakepit._remote_error import (
    remote_error as remote_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit._stats import WorkerRef


class ConfigError(SnakepitError, ValueError):
    """A parameter or a configuration key is wrong. Nothing was started."""

    field: str | None = None
    """The parameter or key, like ``"heartbeat.interval"``."""
    suggestion: str | None = None
    """What would do, or was meant."""
    expected: str | None = None
    """What is needed there, in words; of values that a file or a variable gives."""
    got: str | None = None
    """What stands there."""
    source: str | None = None
    """Where it stands: ``"/srv/app/snakepit.toml:12"``, the name of a variable, or ``"code"``."""
    line: int | None = None
    column: int | None = None
    """Of a file that is no TOML."""


class NotStarted(SnakepitError, RuntimeError):
    """A function of the module needs the pools that ``snakepit.start()`` starts. Nothing ran."""


class DeviceNotAvailable(SnakepitError):
    """This process sees none of the devices that were asked for."""

    device: str | None = None
    """What was asked for."""
    available: Sequence[str] = ()
    """What there is; the CPU is the last."""


class StartError(SnakepitError):
    """No worker of the pool can start; the message says why and which command mends it."""

    pool: str | None = None
    worker: WorkerRef | None = None
    reason: str | None = None
    remote_traceback: str | None = None
    """Traceback of the adapter's import, ``__init__`` or ``initialize()``."""
    violation: str | None = None
    """What the worker did that the protocol forbids, like ``"old_protocol"``; ``None``: nothing."""
    shortage: str | None = None
    """What this machine was short of: ``"processes"``, ``"open_files"``, ``"memory"``, ``"space"``
    or ``"file_size"``; the message names the limit and what lifts it. The pool tries again."""
    stderr: str | None = None
    """The last lines that the worker wrote to stderr."""


class AdapterSourceError(StartError):
    """A worker has no way to find the adapter's class."""


class PoolClosed(SnakepitError):
    """The pool was closed before the call, or while it waited."""

    pool: str | None = None


class ForkedPool(SnakepitError):
    """The pool belongs to the parent of this process: workers are not shared across ``fork``."""

    pool: str | None = None
    owner_pid: int | None = None


class QueueFull(SnakepitError):
    """As much waits as the pool allows. Shed load, or raise ``max_queue`` or ``max_queue_bytes``.

    Nothing ran.
    """

    pool: str | None = None
    capacity: int | None = None
    """Calls that may wait."""
    retry_after: float | None = None
    """Seconds until half of what waits will have been worked off, at the rate of late."""


class SessionBusy(QueueFull):
    """The session's worker is busy and its affinity is ``strict_fail_fast``. Nothing ran."""

    session: str | None = None


class CircuitOpen(SnakepitError):
    """The circuit breaker refuses calls for now. Nothing ran."""

    pool: str | None = None
    worker: WorkerRef | None = None
    retry_after: float | None = None
    """Seconds before which asking again cannot help."""


class CallTimeout(SnakepitError, TimeoutError):
    """The call's deadline passed."""

    step: str | None = None
    """How far the call had come: ``"queued"``, ``"sent"`` or ``"running"``."""
    timeout: float | None = None  # Seconds.
    tool: str | None = None
    worker: WorkerRef | None = None
    session: str | None = None


class Cancelled(SnakepitError, concurrent.futures.CancelledError):
    """The caller gave the call up."""

    tool: str | None = None
    session: str | None = None


class SessionLost(SnakepitError):
    """The session's worker is gone, and the state that the session had there."""

    session: str | None = None
    cause: str | None = None
    """What became of the worker, in words."""
    stack: str | None = None
    """Where the worker's threads were when it was killed or crashed; see ``WorkerDied.stack``."""
    worker: WorkerRef | None = None
    """The worker that was the session's home."""
    tool: str | None = None


class SessionExpired(SessionLost):
    """The session was not used for its ``ttl``. Nothing ran."""


class SessionClosed(SessionLost):
    """The session was closed: by ``close()``, or by leaving its ``with`` block. Nothing ran."""


class SessionQuotaExceeded(SnakepitError):
    """As many sessions are open as the pool allows: ``max_sessions``. Nothing ran.

    Close some, give them a shorter ``ttl``, or raise the limit.
    """

    pool: str | None = None
    session: str | None = None
    """The one that could not be opened."""
    limit: int | None = None


class ReentrantCall(SnakepitError):
    """The call needs a worker that is held by the very call that makes it. Nothing ran."""

    tool: str | None = None
    session: str | None = None
    worker: WorkerRef | None = None


class WorkerDied(SnakepitError):
    """The worker's process ended during the call."""

    worker: WorkerRef | None = None
    exit_code: int | None = None
    """What the process exited with; ``None`` when a signal ended it."""
    cause: str | None = None
    """Why, in one word.

    ``"exit_3"``, ``"signal_11"``: by itself, or by somebody else. ``"oom"``: the kernel killed
    it for want of memory. By the pool: ``"deadline"`` and ``"cancel"`` (a call did not stop in
    time), ``"stall"``, ``"protocol"`` (see ``violation``), ``"close"``, ``"recycle_…"``.
    ``"shim"``: the process that watched over it was killed. ``"unknown"``.
    """
    signal: str | None = None
    """Name of the signal that ended it, like ``"SIGKILL"``; ``None`` when it exited."""
    violation: str | None = None
    """What it did that the protocol forbids, like ``"answered_twice"``; ``None``: nothing.

    The host kills a worker that breaks the protocol; the message says what it did, in words. The
    names are those of ``snakepit::Violation`` in the Rust crate.
    """
    stack: str | None = None
    """Where its threads were, as ``faulthandler`` writes it; 64 KiB at most.

    Told by a worker that crashed, or that was killed because a call did not stop in time, also
    while C code held the interpreter.
    """
    stderr: str | None = None
    """The last lines that it wrote to stderr, 4 KiB at most."""
    tool: str | None = None
    session: str | None = None


class PoisonCall(WorkerDied):
    """Two workers died under this call; it is not tried again."""


class ToolNotFound(SnakepitError):
    """The adapter declares no tool of that name. Nothing ran."""

    tool: str | None = None
    suggestions: Sequence[str] = ()
    """Tools with a similar name, the closest first."""
    worker: WorkerRef | None = None
    session: str | None = None


class ArgumentError(SnakepitError, ValueError, TypeError):
    """The arguments are not what the tool's schema says. Nothing was sent.

    Only of calls that asked for it by ``validate_arguments``; see ``ToolInfo.parameters``.
    """

    parameter: str | None = None
    """The parameter; ``None`` where it is none in particular."""
    path: str | None = None
    """Where inside the arguments, like ``args["user"]["age"]``."""
    expected: str | None = None
    """What the schema asks for, in words: ``"an integer"``."""
    got: str | None = None
    """What was given, in words: ``"a string of 3 characters"``, ``"nothing"``."""
    tool: str | None = None


class EncodeError(SnakepitError, ValueError):
    """A value cannot travel.

    In an argument: nothing was sent. In a result: the tool has run (``may_have_run``).
    """

    path: str | None = None
    """Where inside the value, like ``args["model"].layers[2]``."""
    type_name: str | None = None
    tool: str | None = None
    worker: WorkerRef | None = None


class DecodeError(SnakepitError, ValueError):
    """Bytes that are no value."""

    path: str | None = None


class MessageTooLarge(SnakepitError):
    """An encoded value is larger than the pool's ``max_message``. Line and worker live on."""

    size: int | None = None  # Bytes, as the limit.
    limit: int | None = None
    direction: str | None = None
    """``"request"`` (nothing was sent) or ``"reply"`` (the tool has run)."""
    tool: str | None = None
    worker: WorkerRef | None = None


def _adopt() -> None:
    """Where people and pickle find them: under one name, wherever they are written."""
    for module in (_remote_classes, _remote_error):
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                kind.__module__ = __name__


_adopt()
