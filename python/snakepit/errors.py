"""Every error that Snakepit raises.

.. code-block:: text

    SnakepitError
    ├── ConfigError (ValueError)        a parameter or configuration key is wrong
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
    │   └── SessionExpired
    ├── ReentrantCall                   a call needs a worker that its own ancestors hold
    ├── WorkerDied                      the worker's process ended during the call
    │   └── PoisonCall                  two workers died under this call
    ├── ToolNotFound                    the adapter has no such tool
    ├── EncodeError (ValueError)        a value cannot travel
    ├── DecodeError (ValueError)        bytes that are no value
    ├── MessageTooLarge                 a value is larger than the pool allows
    └── RemoteError                     the adapter's code raised; RemoteValueError … are both

All are built as ``Class(message, **fields)``; the fields are the class attributes below, so that a
handler reads ``error.exit_code`` and never parses text. All pickle. ``str(error)`` is the message
and, where there is one, what the worker had to say: its traceback, or its last lines on stderr.

No exception of a worker is ever rebuilt from its own class: it travels as text.
"""

# ruff: noqa: N818 (these names say what happened; "Error" behind each would say nothing more)

from __future__ import annotations

import builtins
import concurrent.futures
from typing import TYPE_CHECKING, Any

from snakepit._error import SnakepitError as SnakepitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit._stats import WorkerRef


class ConfigError(SnakepitError, ValueError):
    """A parameter or a configuration key is wrong. Nothing was started."""

    field: str | None = None
    suggestion: str | None = None


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
    """The session was not used for too long."""


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


class RemoteError(SnakepitError):
    """The adapter's code raised; its worker is well.

    Where the exception was a built-in one, the error is an instance of that class too:
    ``except ValueError`` catches a tool's ``ValueError``.
    """

    may_have_run: bool = True
    type_name: str | None = None
    """Name of the exception's class, with its module unless that is ``builtins``."""
    remote_message: str | None = None
    remote_traceback: str | None = None
    """The traceback as the worker would have printed it."""
    worker: WorkerRef | None = None
    tool: str | None = None
    session: str | None = None


# Written out, not generated: importable, known to type checkers, pickled by name. Left out is what
# means something to the interpreter (StopIteration, SystemExit) or has a constructor of its own.


class RemoteArithmeticError(RemoteError, ArithmeticError):
    """A tool raised an ``ArithmeticError``."""


class RemoteAssertionError(RemoteError, AssertionError):
    """A tool raised an ``AssertionError``."""


class RemoteAttributeError(RemoteError, AttributeError):
    """A tool raised an ``AttributeError``."""


class RemoteBufferError(RemoteError, BufferError):
    """A tool raised a ``BufferError``."""


class RemoteConnectionError(RemoteError, ConnectionError):
    """A tool raised a ``ConnectionError``."""


class RemoteEOFError(RemoteError, EOFError):
    """A tool raised an ``EOFError``."""


class RemoteFileExistsError(RemoteError, FileExistsError):
    """A tool raised a ``FileExistsError``."""


class RemoteFileNotFoundError(RemoteError, FileNotFoundError):
    """A tool raised a ``FileNotFoundError``."""


class RemoteImportError(RemoteError, ImportError):
    """A tool raised an ``ImportError``."""


class RemoteIndexError(RemoteError, IndexError):
    """A tool raised an ``IndexError``."""


class RemoteKeyError(RemoteError, KeyError):
    """A tool raised a ``KeyError``."""


class RemoteLookupError(RemoteError, LookupError):
    """A tool raised a ``LookupError``."""


class RemoteMemoryError(RemoteError, MemoryError):
    """A tool raised a ``MemoryError``."""


class RemoteModuleNotFoundError(RemoteError, ModuleNotFoundError):
    """A tool raised a ``ModuleNotFoundError``."""


class RemoteNameError(RemoteError, NameError):
    """A tool raised a ``NameError``."""


class RemoteNotImplementedError(RemoteError, NotImplementedError):
    """A tool raised a ``NotImplementedError``."""


class RemoteOSError(RemoteError, OSError):
    """A tool raised an ``OSError``."""


class RemoteOverflowError(RemoteError, OverflowError):
    """A tool raised an ``OverflowError``."""


class RemotePermissionError(RemoteError, PermissionError):
    """A tool raised a ``PermissionError``."""


class RemoteRecursionError(RemoteError, RecursionError):
    """A tool raised a ``RecursionError``."""


class RemoteRuntimeError(RemoteError, RuntimeError):
    """A tool raised a ``RuntimeError``."""


class RemoteTimeoutError(RemoteError, TimeoutError):
    """A tool raised a ``TimeoutError``."""


class RemoteTypeError(RemoteError, TypeError):
    """A tool raised a ``TypeError``."""


class RemoteUnicodeError(RemoteError, UnicodeError):
    """A tool raised a ``UnicodeError``."""


class RemoteValueError(RemoteError, ValueError):
    """A tool raised a ``ValueError``."""


class RemoteZeroDivisionError(RemoteError, ZeroDivisionError):
    """A tool raised a ``ZeroDivisionError``."""


_REMOTE_CLASSES: dict[type, type[RemoteError]] = {
    remote.__bases__[1]: remote for remote in RemoteError.__subclasses__()
}


def remote_error(message: str, **fields: Any) -> RemoteError:
    """Build the error for an exception that a tool raised.

    Args:
        message: One line for people.
        **fields: Fields of ``RemoteError``. ``type_name`` picks the class: that of the nearest
            built-in ancestor in the list above, else plain ``RemoteError``.
    """
    builtin = getattr(builtins, fields.get("type_name") or "", None)
    ancestors = builtin.__mro__ if isinstance(builtin, type) else ()
    classes = (_REMOTE_CLASSES[a] for a in ancestors if a in _REMOTE_CLASSES)
    return next(classes, RemoteError)(message, **fields)
