"""``python -m snakepit.conformance``: what it prints and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the kit serves the line through grpcio")

from snakepit.conformance import run

BROKEN = [sys.executable, str(Path(__file__).with_name("broken_worker.py"))]


def kit(*arguments: str) -> Any:
    command = [sys.executable, "-W", "error", "-m", "snakepit.conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_worker_that_is_well() -> None:
    ended = kit("--select", "call", "--select", "probe", "--", *BROKEN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    call, probe, summary = ended.stdout.splitlines()
    assert call.startswith("✓ call: ")
    assert probe.startswith("– probe: ")
    assert "Hello.control is false" in probe
    assert summary == "1 passed, 0 failed, 1 skipped"


def test_a_worker_that_is_not() -> None:
    ended = kit("--select", "drain", "--", *BROKEN, "drain-code")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    title, expected, got, see, summary = ended.stdout.splitlines()
    assert title.startswith("✗ drain: ")
    assert expected.strip() == "expected exit code after Drain: 0"
    assert got.strip() == "got 3"
    assert see.strip() == "see docs/protocol.md#drain"
    assert summary == "0 passed, 1 failed, 0 skipped"


def test_json_is_for_programs() -> None:
    ended = kit("--json", "--select", "call", "--", *BROKEN)
    report = json.loads(ended.stdout)
    assert report["passed"] is True
    (finding,) = report["findings"]
    assert (finding["name"], finding["outcome"]) == ("call", "passed")


def test_the_list_names_every_check() -> None:
    ended = kit("--list")
    assert ended.returncode == 0
    names = [line.split()[0] for line in ended.stdout.splitlines()]
    assert names[0] == "hello"
    assert names[-1] == "nothing-left"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "usage:"),
        (("--", "no-such-program"), "there is no program no-such-program"),
        (("--select", "helo", "--", *BROKEN), "did you mean hello?"),
        (("--timeout", "soon", "--", *BROKEN), "invalid float"),
    ],
)
def test_what_cannot_be_judged_exits_with_2(arguments: tuple[str, ...], said: str) -> None:
    ended = kit(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_program_that_is_no_worker_breaks_rules_and_stops_nobody() -> None:
    chosen = ["hello", "call", "stream", "nothing-left"]
    report = run(["/bin/true"], select=chosen, timeout=20)
    assert [finding.name for finding in report.failed] == ["hello", "call"]
    assert report.findings[2].reason == "no worker became ready"
    assert "exited with code 0 without another frame" in report.failed[0].got


def test_what_a_worker_printed_is_shown() -> None:
    report = run([sys.executable, "-c", "import sys; sys.exit('no such model')"], select=["call"])
    assert "printed: no such model" in str(report)
