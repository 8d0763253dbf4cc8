"""What is measured in a process of its own, which prints one line of JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


class NothingToldError(Exception):
    """The process told nothing; the text says why."""


def told_by(
    command: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
) -> Any:
    """The last line of JSON that ``command`` prints within ``limit`` seconds.

    Raises:
        NothingToldError: It printed none, or did not end.
    """
    try:
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise NothingToldError(f"no end within {limit:.0f} s") from None
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise NothingToldError(last[0])
    return json.loads(lines[-1])
