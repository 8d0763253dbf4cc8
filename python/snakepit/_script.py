"""Script mode: pools around one function, and nothing left behind however it ends."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from snakepit import _core, _functions, _sigterm, _started
from snakepit._duration import UNSET
from snakepit._settings._variables import HALT

if TYPE_CHECKING:
    from os import PathLike
    from types import FrameType

    from snakepit._duration import Duration, Unset
    from snakepit._settings import Settings

T = TypeVar("T")

_YES = frozenset({"1", "true", "yes", "y", "on"})
_INTERRUPTED = 130
_TERMINATED = 143


class Terminated(SystemExit):
    """SIGTERM came while the function ran: its ``finally`` blocks run, and nothing else."""


@overload
def run_as_script(
    fn: Callable[[], Coroutine[Any, Any, T]],
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    path: str | PathLike[str] | None = None,
    halt: bool | None = None,
    timeout: Duration | None = None,
) -> T: ...
@overload
def run_as_script(
    fn: Callable[[], T],
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    path: str | PathLike[str] | None = None,
    halt: bool | None = None,
    timeout: Duration | None = None,
) -> T: ...
def run_as_script(
    fn: Callable[[], Any],
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    path: str | PathLike[str] | None = None,
    halt: bool | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Start the configured pools, wait until their workers are ready, run ``fn``, close the pools.

    When this returns or raises, no worker is left. Calls that ``fn`` has left under way get the
    pools' ``drain_timeout``, or are cancelled at once where it raised.

    On the main thread, unless the program handles SIGTERM itself: the signal raises a
    ``SystemExit`` in ``fn``, so that its ``finally`` blocks run; then the pools are closed and the
    process ends as by the signal. A second one ends it at once, its workers with it.

    Pools that were started before are used, and left as they are.

    Args:
        fn: A function without arguments, or a coroutine function, which gets an event loop.
        settings: As in ``start``.
        path: As in ``start``.
        halt: End the process with it, at once: no exit handlers, no waiting for other threads. The
            exit status is 0; 1 where ``fn`` raised, which is printed; what ``sys.exit`` asks for.
            Default: whether ``SNAKEPIT_SCRIPT_HALT`` is 1, true, yes, y or on.
        timeout: Seconds until all workers are ready; ``None``: as long as they may take to start.

    Returns:
        What ``fn`` returned.

    Raises:
        ConfigError: The settings are wrong, or there are none.
        StartError: A worker cannot start; ``fn`` did not run.
        BaseException: What ``fn`` raised.

    Example:
        >>> snakepit.run_as_script(lambda: snakepit.execute("ping"))
        'pong'
    """
    if not callable(fn):
        raise TypeError(f"run_as_script: a function is needed, not {fn!r:.80}")
    if halt is None:
        halt = os.environ.get(HALT, "").strip().lower() in _YES
    signals = _Signals()
    begin = time.perf_counter()
    _core.tell("snakepit.script.start", {"system_time": time.time_ns()}, {})
    try:
        with _sigterm.left_to(signals):
            try:
                result = _within_pools(fn, settings, path, timeout, signals)
            finally:
                if signals.came:
                    _sigterm.die()
    except BaseException as error:
        _tell_end(begin, {"error": type(error).__name__})
        if halt:
            _halt(error)
        raise
    _tell_end(begin, {})
    if halt:
        _halt(None)
    return result


def _tell_end(begin: float, metadata: dict[str, str | int | float | bool]) -> None:
    took = (time.perf_counter() - begin) * 1e3
    _core.tell("snakepit.script.stop", {"duration_ms": took}, metadata)


class _Signals:
    """The handler of SIGTERM while a script runs."""

    def __init__(self) -> None:
        self.came = False
        self.interrupts = True
        """The function runs, or is waited for."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            _sigterm.die()
        self.came = True
        if self.interrupts:
            self.interrupts = False
            raise Terminated(_TERMINATED)


def _within_pools(
    fn: Callable[[], Any],
    settings: Settings | Mapping[str, Any] | None,
    path: str | PathLike[str] | None,
    timeout: Duration | None,
    signals: _Signals,
) -> Any:
    drain: Duration | Unset = 0.0
    ours = False
    try:
        # Set by what is called, so that an interruption right behind it finds it set.
        ours = not _started.is_started()
        _started.begin(settings, path, {})
        _functions.await_ready(timeout=timeout)
        result = fn()
        if isinstance(result, Coroutine):
            import asyncio

            result = asyncio.run(result)
        drain = UNSET
        return result
    finally:
        signals.interrupts = False
        if ours:
            _started.stop(drain=drain)


def _halt(error: BaseException | None) -> NoReturn:
    # Exit handlers do not run, and with them not what handlers of telemetry still have to hear.
    if dispatch := sys.modules.get("snakepit._dispatch"):
        dispatch.dispatcher.finish()
    status = 0
    match error:
        case None:
            pass
        case SystemExit(code=None):
            pass
        case SystemExit(code=int(code)):
            status = code & 0xFF
        case SystemExit(code=said):
            print(said, file=sys.stderr)
            status = 1
        case KeyboardInterrupt():
            status = _INTERRUPTED
        case _:
            traceback.print_exception(error)
            status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # A pipe that nobody reads, or closed.
            continue
    os._exit(status)
