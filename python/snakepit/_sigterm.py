"""SIGTERM: calls under way may end, then the process ends as it would have without pools.

Only where nobody else has asked for the signal, and only for as long as a pool is open. An event
loop that runs goes on meanwhile, so that coroutines get their results; otherwise the main thread
waits in the handler, and nothing new is begun there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Literal

from snakepit import _core
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from snakepit._base import PoolBase

_DRAIN = 20.0  # Seconds for calls under way, if their pool allows as many.
_LIMIT = 24.0  # Seconds after which workers are killed; that takes one more at most.

_pools: weakref.WeakSet[PoolBase] = weakref.WeakSet()
_forking = threading.local()
_ending: threading.Thread | None = None
_script: Callable[[int, FrameType | None], None] | None = None


def install(wish: Literal["auto", True]) -> bool:
    """Take the signal, where nobody else handles it, and say whether that is so.

    Raises:
        ConfigError: ``wish`` is ``True`` and it cannot be done.
    """
    obstacle = _install()
    if obstacle is not None and wish is True:
        raise ConfigError(
            f"handle_sigterm: {obstacle}; close the pool in your own handler, "
            'and leave this at "auto"',
            field="handle_sigterm",
        )
    return obstacle is None


def watch(pool: PoolBase) -> None:
    """Have the signal end ``pool`` in good order."""
    _pools.add(pool)


def forget(pool: PoolBase) -> None:
    """The pool is closed; with the last one the signal gets its default action back.

    Python permits that on the main thread only. Closed elsewhere, the last pool leaves a handler
    which ends the process at once, as soon as the main thread runs Python.
    """
    _pools.discard(pool)
    handler = signal.getsignal(signal.SIGTERM)
    if not _pools and _ending is None and handler is _on_sigterm and _on_main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def left_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Leave the signal to ``handler`` for a block, where it is nobody else's."""
    global _script
    now = signal.getsignal(signal.SIGTERM)
    if not _on_main_thread() or now not in (signal.SIG_DFL, _on_sigterm):
        yield
        return
    _script = handler
    try:
        signal.signal(signal.SIGTERM, handler)
    except ValueError:  # A subinterpreter.
        _script = None
        yield
        return
    try:
        yield
    finally:
        _script = None
        if signal.getsignal(signal.SIGTERM) is handler:
            signal.signal(signal.SIGTERM, _on_sigterm if _pools else signal.SIG_DFL)


def finish() -> None:
    """For the interpreter's exit: once SIGTERM came, the process ends by it and not before."""
    if _ending is not None:
        _ending.join()


def _install() -> str | None:
    """Why the handler cannot be installed, if so."""
    if _is_ours():
        return None
    if not _on_main_thread():
        return "signals can be handled on the main thread only"
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return "the program has its own handler of SIGTERM, or ignores it"
    try:
        signal.signal(signal.SIGTERM, _on_sigterm)
    except ValueError as error:  # A subinterpreter.
        return str(error)
    return None


def _is_ours() -> bool:
    handler = signal.getsignal(signal.SIGTERM)
    return handler is _on_sigterm or (handler is _script and _script is not None)


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _hold_back() -> None:
    """Before a fork: Python forgets in the child what arrived there until it has set itself up.

    The default action would have ended that child. What is blocked is not forgotten.
    """
    _forking.held = _is_ours() and signal.SIGTERM not in signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM}
    )


def _let_through() -> None:
    if getattr(_forking, "held", False):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _be_a_child() -> None:
    """The pools are the parent's: the child ends by the signal as if it had never seen one."""
    global _ending
    _pools.clear()
    _ending = None
    # Ours would have to wait for a child that is in one long call of C.
    if _is_ours():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()


os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_be_a_child)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    global _ending
    pools = [*_pools]
    if _ending is not None or not pools:
        die()
    _ending = threading.Thread(target=_end, args=(pools,), name="snakepit-sigterm", daemon=True)
    _ending.start()
    if _loop_is_running():
        return
    try:
        _ending.join()
    except KeyboardInterrupt:
        die()


def _end(pools: list[PoolBase]) -> None:
    until = time.monotonic() + _LIMIT
    closing = [
        threading.Thread(
            target=pool._engine.close, args=(min(_DRAIN, pool._drain_timeout),), daemon=True
        )
        for pool in pools
    ]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join(max(0.0, until - time.monotonic()))
    for pool, thread in zip(pools, closing, strict=True):
        if thread.is_alive():
            pool._engine.kill()
    die()


def die() -> None:
    """End this process as by the signal."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # Closed, or the handler interrupted a write.
            stream.flush()
    # Whatever is left of the workers goes with this process.
    _core.end_by(signal.SIGTERM)


def _loop_is_running() -> bool:
    if asyncio := sys.modules.get("asyncio"):
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            return True
    return False
