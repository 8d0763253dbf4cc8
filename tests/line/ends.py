"""The ends of the line that are tested, on which interpreters: one list, to add to."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdk.interpreters import need

from snakepit._interpreter import bridge_directory
from snakepit.conformance import PythonWorker

ADAPTER = f"{Path(__file__).with_name('adapter_of_line.py')}:Adapter"

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = os.environ.get("LINE_TEST_PYTHON", "")
"""Another interpreter for the workers, with the packages of the grpcio end."""

NATIVE = [("native", version) for version in ("3.11", "3.12", "3.13")]
GRPCIO = [("grpcio", version) for version in ("3.10", "3.11", "3.12", "3.13")]
EVERY_END = [*NATIVE, *GRPCIO]
"""For the conformance kit: each end on each interpreter that it is for."""

OWN_ENDS = [("native", OWN), ("grpcio", OWN)]
"""For the deeper tests; ``.ci/other-python`` runs those of the native end on each interpreter."""

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
_PACKAGES = "import google.protobuf, grpc, msgpack"


def worker(line: str, version: str, **more: str) -> PythonWorker:
    """How to start such a worker; skips where it cannot be had here."""
    if version == OWN:
        python = sys.executable  # it has the packages that adapters use
    elif OTHER and _said(OTHER, _VERSION) == version:
        python = OTHER
    else:
        python = need(version)
    if line == "grpcio":
        if not Path(bridge_directory(), "_grpcio").is_dir():
            pytest.skip("the installed snakepit_bridge has no grpcio end")
        if _said(python, _PACKAGES) is None:
            pytest.skip(f"{python} lacks grpcio, protobuf or msgpack")
    return PythonWorker(line=line, python=python, **more)


@functools.cache
def _said(python: str, program: str) -> str | None:
    """What the program prints; None where it fails."""
    ended = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else None


def params(ends: list[tuple[str, str]], elsewhere: bool = False) -> list[object]:
    """``elsewhere``: on other interpreters than this one it is slow."""
    return [
        pytest.param(
            end,
            id="-".join(end),
            marks=[pytest.mark.slow] if elsewhere and end[1] not in (OWN, "3.10") else [],
        )
        for end in ends
    ]
