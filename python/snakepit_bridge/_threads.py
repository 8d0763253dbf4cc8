"""Where the threads of this worker are, and its asyncio tasks, for an operator who asks
(``snakepit stack``).

Told by the interpreter itself: whoever calls this has it. The others go on as soon as files are
read for the lines of their code, so where they are is noted first, all at once.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TYPE_CHECKING

from . import _task_stacks

if TYPE_CHECKING:
    from types import FrameType

    from ._task_stacks import Chain

_MAX = 60 * 1024
"""Bytes; what answers travel in holds 64 KiB."""
_MAX_TASKS = 24 * 1024
"""Of these, for tasks."""
_TRIES = 10
_SUSPENDS = 0x0020 | 0x0080 | 0x0200
"""Flags of the code of generators, coroutines and async generators. ``inspect`` has names for them,
and would be imported for that alone."""


def where() -> str:
    """Each thread's stack but for that of the one that asks, the main thread first; then tasks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    chains = _chains()
    told = list[str]()
    for ident in sorted(chains, key=lambda ident: (ident != main, ident)):
        name = names.get(ident, f"{ident:#x}")
        summary = traceback.StackSummary.extract(reversed(chains[ident]))
        told.append(f"Thread {name} (most recent call last):\n{''.join(summary.format())}")
    tasks = _cut("\n".join(_task_stacks.told(chains, names)), _MAX_TASKS)
    threads = _cut("\n".join(told), _MAX - len(tasks.encode("utf-8", "replace")))
    return f"{threads}\n{tasks}" if tasks else threads


def _chains() -> dict[int, Chain]:
    """Where the threads but for our own are."""
    for _ in range(_TRIES):
        frames = sys._current_frames()
        # With our own we would keep all of them, and what their locals are, until a collection.
        del frames[threading.get_ident()]
        chains = {ident: _chain(frame) for ident, frame in frames.items()}
        # What suspends while its callers are followed has none any more. No thread begins in one.
        if not any(chain[-1][0].f_code.co_flags & _SUSPENDS for chain in chains.values()):
            break
    return chains


def _chain(frame: FrameType | None) -> Chain:
    chain: Chain = []
    while frame is not None:
        chain.append((frame, frame.f_lineno))
        frame = frame.f_back
    return chain


def _cut(text: str, longest: int) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= longest:
        return text
    return raw[:longest].decode("utf-8", "ignore") + "\n… cut\n"
