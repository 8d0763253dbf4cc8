"""The demo does what the README promises, with and without a terminal, and when it is stopped."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn (the demo group)"
)
CLOSED = "closed; no process is left behind"


@pytest.fixture
def command(root: Path) -> list[str]:
    return [sys.executable, "-u", str(root / "examples/digits/demo.py")]


def test_the_demo_learns_measures_and_leaves_nothing(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout

    accuracy = re.search(r"^accuracy (\d\.\d{4})$", said, re.MULTILINE)
    assert accuracy is not None, said
    assert float(accuracy[1]) >= 0.95
    assert re.search(r"^epoch 30/30  loss \d", said, re.MULTILINE), "plain progress lines"
    assert "\r" not in said, "no bar without a terminal"
    assert re.search(r"^ping: .* calls/s, p50 .* µs, p99 .* µs$", said, re.MULTILINE)
    assert len(re.findall(r"^digits/[01] +\d+ ", said, re.MULTILINE)) == 2, "the table of workers"
    assert said.endswith(CLOSED + "\n")


def test_ctrl_c_at_a_terminal_ends_the_demo_in_good_order(command: list[str]) -> None:
    host, terminal = pty.openpty()
    process = subprocess.Popen(
        command, stdout=terminal, stderr=subprocess.PIPE, start_new_session=True
    )
    os.close(terminal)
    said = read(host, until="\r[")
    # As a terminal does it: every process of the foreground group gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    said += read(host)
    _, errors = process.communicate(timeout=60)
    os.close(host)
    assert process.returncode == 130, errors
    assert "epoch" in said.partition("\r[")[2], "the bar says which"
    assert "interrupted" in said
    assert said.rstrip().endswith(CLOSED)
    assert b"Traceback" not in errors


def read(terminal: int, until: str | None = None) -> str:
    """What is written, to the end, which Linux reports as an error."""
    said = b""
    while until is None or until.encode() not in said:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    return said.decode()
