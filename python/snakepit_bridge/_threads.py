"""Where the threads of this worker are, and its asyncio tasks, for an operator who asks
(``snakepit stack``).

Told by the interpreter itself: whoever calls this has it, and what is looked at is not changed.
"""

from __future__ import annotations

import sys
import threading
import traceback

from . import _task_stacks

_MAX = 60 * 1024
"""Bytes; what answers travel in holds 64 KiB."""
_MAX_TASKS = 24 * 1024
"""Of these, for tasks."""


def where() -> str:
    """Each thread's stack but for that of the one that asks, the main thread first; then tasks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    me, main = threading.get_ident(), threading.main_thread().ident
    frames = sys._current_frames()
    # With our own we would keep all of them, and what their locals are, until a collection.
    del frames[me]
    told = list[str]()
    for ident in sorted(frames, key=lambda ident: (ident != main, ident)):
        name = names.get(ident, f"{ident:#x}")
        stack = "".join(traceback.format_stack(frames[ident]))
        told.append(f"Thread {name} (most recent call last):\n{stack}")
    tasks = _cut("\n".join(_task_stacks.told(frames, names)), _MAX_TASKS)
    threads = _cut("\n".join(told), _MAX - len(tasks.encode("utf-8", "replace")))
    return f"{threads}\n{tasks}" if tasks else threads


def _cut(text: str, longest: int) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= longest:
        return text
    return raw[:longest].decode("utf-8", "ignore") + "\n… cut\n"
