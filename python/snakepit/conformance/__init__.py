"""Does this program speak the protocol? A kit that drives anything that claims to be a worker.

On the command line, ``python -m snakepit.conformance -- node worker.js``; in a test::

    import snakepit.conformance

    report = snakepit.conformance.run(["node", "worker.js"])
    assert report.passed, report

The worker must have the conformance tools that ``docs/protocol.md`` lists. Needs the extra
``conformance``: grpcio and protobuf.
"""

from .launch import Launch, ProgramWorker, PythonWorker
from .report import Finding, Report
from .runner import run

__all__ = ["Finding", "Launch", "ProgramWorker", "PythonWorker", "Report", "run"]
