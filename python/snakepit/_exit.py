"""The pools that are open, and their end with the interpreter."""

from __future__ import annotations

import atexit
import sys
import weakref
from typing import TYPE_CHECKING

from snakepit import _core, _sigterm

if TYPE_CHECKING:
    from snakepit._base import PoolBase

open_pools: weakref.WeakSet[PoolBase] = weakref.WeakSet()


@atexit.register
def _close_open_pools() -> None:
    _sigterm.finish()
    # First, or a loop in a daemon thread would still be told that its calls failed.
    if inboxes := sys.modules.get("snakepit._inbox"):
        inboxes.close_all()
    for pool in list(open_pools):
        if not pool._engine.forked:
            pool._engine.close(0.0)
            pool._close_tools()
    if dispatch := sys.modules.get("snakepit._dispatch"):
        dispatch.dispatcher.finish()
    # The thread that calls into Python must have ended before the interpreter goes.
    _core.leave()
