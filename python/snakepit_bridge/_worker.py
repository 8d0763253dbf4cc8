"""A worker's life, once ``boot`` has made the process one: attach, load, serve, clean up.

Every way in which a start can fail is reported to the host here, with what a person needs to mend
it; ``permanent`` says that trying again cannot help.
"""

from __future__ import annotations

import faulthandler
import os
import sys

from . import __version__, _outlet, _source
from ._adapter import WorkerInfo
from ._context import current
from ._failure import describe
from ._lifecycle import LiveAdapter, require_tools
from ._report import Reporter
from ._sessions import of_this_worker
from ._suggest import closest
from .errors import AdapterSourceError, ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._native import Core, Failure, Gil, Initialize, Line

START_FAILED = 1
"""Exit code of a worker whose adapter did not start."""
HOST_GONE = 70
"""Exit code of a worker that lost its host; nobody is left to read it."""

loading_main = False
"""True while the host's main file runs here: a ``Pool()`` in it lacks the ``__main__`` guard."""

loading_module: str | None = None
"""The adapter's module while it is imported: a ``Pool()`` of that very module would never end."""


def main(core: Core) -> int:
    """Be a worker until the host says that it is over.

    Returns:
        The exit code. Does not return when the host is gone.
    """
    faulthandler.enable(2)
    # Stdout is a pipe, which Python buffers by blocks; what a tool prints must show at once.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(line_buffering=True)

    line = core.attach(__version__)
    _outlet.outlet = line.telemetry
    gil = _watched_gil(line)
    started = _start(line)
    if started is None:
        return START_FAILED
    live, order = started
    of_this_worker.closed = live.session_closed
    if order["unserializable"] is not None:
        from ._graceful import Substitute

        line.substitute_by(Substitute(*order["unserializable"]))
    try:
        line.ready(live.listing, gil())
    except ValueError as error:
        # More is to be told about the tools than a frame holds; the message says how much.
        live.close()
        line.start_failed(_described(error), adapter_source=False, permanent=True)
        return START_FAILED
    if not _serve(line, live, order):
        # No cleanup: the host that could bound it is dead, and the shim is killing us.
        os._exit(HOST_GONE)
    of_this_worker.end_all()
    try:
        live.cleanup()
    except BaseException as error:
        # The calls are answered and the host waits for an exit only: tell people, not the host.
        sys.stderr.write(f"cleanup of the adapter failed\n{_described(error)[2]}")
    return 0


def _serve(line: Line, live: LiveAdapter, order: Initialize) -> bool:
    report = Reporter(order["errors"])
    if order["profile"] == "process":
        return line.serve(live.tools, current, report, lambda name: closest(name, live.tools))
    # Here, not above: a worker that runs one call at a time needs no threads of Python's.
    from . import _concurrent

    return _concurrent.serve(line, live, order, report)


def _watched_gil(line: Line) -> Callable[[], Gil]:
    """What tells of this Python's lock; the host hears of it if it is switched on later."""
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return lambda: (True, None)  # for good
    # Here, not above: few Pythons can do without.
    from . import _gil

    _gil.watch(lambda module: _tell_of_gil(line, module))
    return _gil.state


def _tell_of_gil(line: Line, module: str) -> None:
    text = f"module {module} switched the global interpreter lock on: threads run one at a time"
    line.report("gil", text, (True, module))


def _start(line: Line) -> tuple[LiveAdapter, Initialize] | None:
    try:
        # Decodes adapter_args, which may hold what this interpreter has no type for.
        order = line.initialize
        if order["profile"] == "thread":
            from . import _gil

            _gil.share_constants()
        adapter_class = _load(order)
        require_tools(adapter_class)
        if order["profile"] == "thread":
            from ._thread_safe import require_declared

            require_declared(adapter_class)
    except BaseException as error:
        is_source = isinstance(error, AdapterSourceError) or _is_unguarded_pool(error)
        # The message says it all then; a traceback would show our code.
        said = (AdapterSourceError.__name__, str(error), "") if is_source else _described(error)
        line.start_failed(said, adapter_source=is_source, permanent=True)
        return None

    worker = WorkerInfo(order["pool"], order["slot"], order["generation"], order["device"])
    try:
        return LiveAdapter(adapter_class, order["arguments"], worker), order
    except BaseException as error:
        # A file, a server or a device may be there at the next try; what a class declares, not.
        permanent = isinstance(error, ToolError)
        line.start_failed(_described(error), adapter_source=False, permanent=permanent)
        return None


def _load(order: Initialize) -> type:
    global loading_main, loading_module
    kind, location = order["adapter_kind"], order["adapter_location"]
    loading_main = kind != "module"
    loading_module = location if kind == "module" else None
    try:
        return _source.load(kind, location, order["adapter_qualname"])
    finally:
        loading_main, loading_module = False, None


def _is_unguarded_pool(error: BaseException) -> bool:
    # Raised by the host's face, which the adapter's module made a pool with; not ours to import.
    face = sys.modules.get("snakepit.errors")
    return face is not None and isinstance(error, face.AdapterSourceError)


def _described(error: BaseException) -> Failure:
    return describe(type(error), error, error.__traceback__)
