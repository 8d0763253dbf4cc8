"""Where the asyncio tasks of this worker wait, told beside its threads (``_threads``).

A task that waits is on no thread's stack: its coroutine leads to what it awaits, and so on. Whoever
has the interpreter can follow that, also while the loop is blocked. Without a lock that keeps the
loop from going on meanwhile (a free-threaded Python), the loop is asked to tell it itself.

Runs no code of the adapter's: no ``repr``, no attribute of an object whose type it does not know.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections import deque
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._gil import is_off

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType

    Chain = list[tuple[FrameType, int]]
    """Where a thread is, the innermost frame first."""

MAX_TASKS: Final = 1000
"""Of a loop, looked at."""
MAX_KINDS: Final = 50
"""Of a loop, shown: tasks that wait at the same place are one."""
MAX_NAMES: Final = 5
"""Of the tasks at one place."""
MAX_DEPTH: Final = 24
"""Frames of a task, the innermost ones."""
_MAX_STEPS: Final = 1000
_MAX_NAME: Final = 80
"""Characters: the adapter gives them."""
_PATIENCE: Final = 0.4
"""Seconds for all loops that have to tell it themselves; the host waits for one."""

_STEPS: Final[dict[type, tuple[str, str]]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}
_WRAPPERS: Final = frozenset(
    ("coroutine_wrapper", "anext_awaitable", "async_generator_asend", "async_generator_athrow")
)
"""Types of the interpreter's own around one of these, which have no attribute for it."""


class _Kind(NamedTuple):
    """What tasks at the same place have in common."""

    coroutine: str
    does: str
    outer: int
    stack: tuple[tuple[str, int, str], ...]


def told(chains: Mapping[int, Chain], names: Mapping[int | None, str]) -> list[str]:
    """A text for each event loop that runs on a thread; ``chains`` and ``names`` are of threads."""
    # Not imported: a worker without it has no tasks.
    module = sys.modules.get("asyncio")
    code = getattr(getattr(module, "BaseEventLoop", None), "run_forever", None)
    if module is None or code is None:
        return []
    parts, until = list[str](), time.monotonic() + _PATIENCE
    for ident, loop in _running(chains, code.__code__):
        head = f"Tasks of the event loop of thread {names.get(ident, f'{ident:#x}')}"
        try:
            found = _asked(module, loop, until) if is_off() else _kinds(module, loop)
        except Exception as error:
            parts.append(f"{head}: not told, {type(error).__name__}: {error}\n")
            continue
        if found is None:
            parts.append(
                f"{head}: not told. It does not answer now, and in a Python without a global "
                "interpreter lock nobody else may look\n"
            )
        elif found:
            parts.append(f"{head}:\n\n" + "\n".join(_shown(found)))
    return parts


def _running(
    chains: Mapping[int, Chain], run_forever: Any
) -> Iterator[tuple[int, asyncio.AbstractEventLoop]]:
    for ident, chain in chains.items():
        loops = [frame.f_locals["self"] for frame, _ in chain if frame.f_code is run_forever]
        yield from ((ident, loop) for loop in loops[:1])


def _asked(
    module: Any, loop: asyncio.AbstractEventLoop, until: float
) -> dict[_Kind, list[str]] | None:
    """What a loop tells between two steps of its tasks; ``None``: nothing in time."""
    import threading

    found, done = list[Any](), threading.Event()

    def tell() -> None:
        try:
            found.append(_kinds(module, loop))
        except Exception as error:
            found.append(error)
        done.set()

    loop.call_soon_threadsafe(tell)
    if not done.wait(max(0.0, until - time.monotonic())):
        return None
    if isinstance(found[0], Exception):
        raise found[0]
    kinds: dict[_Kind, list[str]] = found[0]
    return kinds


def _kinds(module: Any, loop: asyncio.AbstractEventLoop) -> dict[_Kind, list[str]]:
    """The names of the loop's tasks, by what they do."""
    kinds = dict[_Kind, list[str]]()
    named = [(_name(module, task), task) for task in module.all_tasks(loop)]
    # Task-9 before Task-10.
    named.sort(key=lambda it: (len(it[0]), it[0]))
    for name, task in named[:MAX_TASKS]:
        if isinstance(task, module.Task):
            kind = _kind(module, task)
        else:
            # What another library takes for a task may run code of its own when it is asked.
            kind = _Kind(type(task).__name__, "of another library", 0, ())
        kinds.setdefault(kind, []).append(name)
    return kinds


def _kind(module: Any, task: asyncio.Task[Any]) -> _Kind:
    coroutine = module.Task.get_coro(task)
    stack = deque[tuple[str, int, str]](maxlen=MAX_DEPTH)
    steps, begun, runs = 0, True, False
    at: Any = coroutine
    while steps < _MAX_STEPS and (at := _opened(at)) is not None:
        of_frame, of_next = _STEPS[type(at)]
        frame: FrameType | None = getattr(at, of_frame)
        if frame is None:
            break
        if steps == 0:
            runs = getattr(at, of_frame.replace("frame", "running"))
            # Since 3.11 a coroutine that is only made has run an instruction.
            suspended = of_frame.replace("frame", "suspended")
            begun = runs or getattr(at, suspended, frame.f_lasti >= 0)
        code = frame.f_code
        stack.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_name))
        steps, at = steps + 1, getattr(at, of_next)
    if not begun:
        does = "not begun"
    elif runs:
        does = "running, see its thread"
    else:
        does = _awaited(module, getattr(task, "_fut_waiter", None))
    name = getattr(coroutine, "__qualname__", None) if type(coroutine) in _STEPS else None
    return _Kind(
        name if isinstance(name, str) else type(coroutine).__name__,
        does,
        steps - len(stack),
        tuple(stack),
    )


def _opened(awaited: Any) -> Any:
    """The coroutine or generator that this is, or is a wrapper of; ``None``: it is none."""
    for _ in range(3):
        kind = type(awaited)
        if kind in _STEPS:
            return awaited
        if kind.__module__ != "builtins" or kind.__name__ not in _WRAPPERS:
            return None
        inside = [
            it
            for it in gc.get_referents(awaited)
            if type(it) in _STEPS or type(it).__name__ in _WRAPPERS
        ]
        if not inside:
            return None
        awaited = inside[0]
    return None


def _awaited(module: Any, waiter: Any) -> str:
    if waiter is None:
        return "about to go on"
    if isinstance(waiter, module.Task):
        return f"waiting for task {_name(module, waiter)}"
    return f"waiting for {type(waiter).__name__}"


def _name(module: Any, task: Any) -> str:
    name = module.Task.get_name(task) if isinstance(task, module.Task) else "unnamed"
    return str(name)[:_MAX_NAME]


def _shown(kinds: dict[_Kind, list[str]]) -> Iterable[str]:
    # What most tasks do is not what is left out.
    most = sorted(kinds.items(), key=lambda it: -len(it[1]))
    for kind, names in most[:MAX_KINDS]:
        listed = ", ".join(names[:MAX_NAMES])
        if (more := len(names) - MAX_NAMES) > 0:
            listed += f" and {more} more"
        tasks = "Task" if len(names) == 1 else f"{len(names)} tasks"
        head = f"{tasks} {listed}, coroutine {kind.coroutine}, {kind.does}"
        lines = [f"{head} (most recent call last):\n"]
        if kind.outer:
            lines.append(f"  … {kind.outer} more\n")
        lines += traceback.format_list(
            [traceback.FrameSummary(file, line, name) for file, line, name in kind.stack]
        )
        yield "".join(lines)
    if (more := len(kinds) - MAX_KINDS) > 0:
        yield f"… and tasks at {more} other places\n"
