"""Chaos for a quarter of a minute. Another seed each time: a failure names its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 15)


# In a process of its own: this one has descriptors, threads and pools of other tests.
@pytest.mark.timeout(300)
def test_every_call_ends_once_and_rightly() -> None:
    seed = os.environ.get("CHAOS_SEED") or str(time.time_ns() % 1_000_000)
    ended = subprocess.run(
        [sys.executable, "-m", "chaos", "--seed", seed, "--seconds", str(SECONDS)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr[-20_000:]
    # That it did something, too: some storms, and faults in them.
    assert len(re.findall(r"^round \d+", ended.stdout, re.MULTILINE)) >= 2
    assert int(re.findall(r"'calls': (\d+)", ended.stdout)[-1]) >= 60
    assert sum(map(int, re.findall(r"'(?:shim )?SIGKILL': (\d+)", ended.stdout))) >= 2
