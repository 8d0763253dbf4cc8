"""Whether this Python's threads run one at a time, and the module to blame where they need not.

A free-threaded Python switches its lock on for good when it imports an extension module that does
not say that it can do without, and warns once. Filters may swallow that warning, so it is caught
where it is shown *and* asked for.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_SIGN = "has been enabled to load module '"

_culprit: str | None = None


def state() -> tuple[bool, str | None]:
    """Whether the lock is on, and the module for which a free-threaded Python switched it on."""
    is_on = getattr(sys, "_is_gil_enabled", None)
    return (True, None) if is_on is None else (is_on(), _culprit if is_on() else None)


def is_off() -> bool:
    """Whether threads run at the same time."""
    is_on = getattr(sys, "_is_gil_enabled", None)
    return is_on is not None and not is_on()


def share_constants() -> None:
    """Have modules that are imported from now on share their constants without contention.

    A free-threaded CPython 3.13 makes the constants of code immortal where it reads it from a
    ``.pyc``, and not where it compiles it. To count references to those of an adapter whose
    bytecode is not cached costs two threads more than they gain.
    """
    if is_off():
        from _frozen_importlib_external import SourceLoader

        compiled = SourceLoader.source_to_code

        def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
            return with_shared_constants(compiled(self, data, path, **options))

        SourceLoader.source_to_code = source_to_code  # type: ignore[method-assign]


def with_shared_constants(code: CodeType) -> CodeType:
    """``code`` as if it had been read from a file; see ``share_constants``."""
    import marshal

    read: CodeType = marshal.loads(marshal.dumps(code))
    return read


def watch(on_change: Callable[[str], None]) -> None:
    """Have ``on_change`` called with the module's name when the lock is switched on."""
    if not is_off():
        return  # It is on for good.
    import warnings

    shown = warnings.showwarning
    # Once, and whatever the adapter's own filters say.
    warnings.filterwarnings("always", message=".*" + _SIGN, category=RuntimeWarning)

    def show(message: Any, *args: Any, **keywords: Any) -> None:
        global _culprit
        text = str(message)
        if _SIGN in text:
            _culprit = text.partition(_SIGN)[2].partition("'")[0]
            on_change(_culprit)
        shown(message, *args, **keywords)

    warnings.showwarning = show
