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


def test_the_demo_draws_a_bar_on_a_terminal(command: list[str]) -> None:
    host, terminal = pty.openpty()
    process = subprocess.Popen(command, stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    said = read_all(host)
    assert process.wait(100) == 0
    assert "\r[" in said
    assert "epoch 30/30" in said
    assert CLOSED in said


def test_ctrl_c_ends_the_demo_in_good_order(command: list[str]) -> None:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    # As a terminal does it: every process of the foreground group gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in said
    assert said.endswith(CLOSED + "\n")
    assert "Traceback" not in errors


def read_all(terminal: int) -> str:
    """Everything until the last writer closes, which Linux reports as an error."""
    said = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(terminal)
    return said.decode()
