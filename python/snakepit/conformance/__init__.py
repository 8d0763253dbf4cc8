"""Does this program speak the protocol? A kit that drives anything that claims to be a worker.

On the command line, ``python -m snakepit.conformance -- node worker.js``; in a test::

    import snakepit.conformance

    report = snakepit.conformance.run(["node", "worker.js"])
    assert report.passed, report

The worker must have the conformance tools that ``docs/protocol.md`` lists. Needs the extra
``conformance``: grpcio and protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .launch import Launch, ProgramWorker, PythonWorker
    from .report import Finding, Report
    from .runner import run

__all__ = ["Finding", "Launch", "ProgramWorker", "PythonWorker", "Report", "run"]

# At first use: ``--help`` works without grpcio.
_HOMES = {
    "Finding": "report",
    "Launch": "launch",
    "ProgramWorker": "launch",
    "PythonWorker": "launch",
    "Report": "report",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value
