"""Where the threads of this worker are, for an operator who asks (``snakepit stack``).

Told by the interpreter itself: whoever calls this has it, so no frame changes meanwhile.
"""

from __future__ import annotations

import sys
import threading
import traceback

_MAX = 60 * 1024
"""Characters; what answers travel in holds 64 KiB."""


def where() -> str:
    """Each thread's stack but for that of the one that asks; the main thread first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    me, main = threading.get_ident(), threading.main_thread().ident
    frames = sys._current_frames()
    told = list[str]()
    for ident in sorted(frames, key=lambda ident: (ident != main, ident)):
        if ident == me:
            continue
        name = names.get(ident, f"{ident:#x}")
        stack = "".join(traceback.format_stack(frames[ident]))
        told.append(f"Thread {name} (most recent call last):\n{stack}")
    text = "\n".join(told)
    return text if len(text) <= _MAX else f"{text[:_MAX]}\n… cut\n"
