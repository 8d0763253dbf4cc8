"""The benchmark runs whole. What it measures here says nothing: the sizes are tiny."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest


def side_by_side(root: Path, out: Path, *options: str, mark: str = "") -> tuple[str, str]:
    ended = subprocess.run(
        [
            *(sys.executable, str(root / "benches/side_by_side.py")),
            *("--quick", "--passes", "1", "--out", str(out), *options),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENCH_OF_THIS_TEST": mark},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, ended.stderr


def report(out: Path) -> Any:
    return json.loads((out / "side_by_side.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quick_run_judges_every_budget(root: Path, tmp_path: Path) -> None:
    told, complaints = side_by_side(root, tmp_path, "--host", str(tmp_path / "not-built"))

    found = report(tmp_path)
    assert len(found["verdicts"]) == 13, complaints
    assert {verdict["met"] for verdict in found["verdicts"]} <= {True, False}
    assert "ProcessPoolExecutor" in told
    assert "not installed, left out: snakepit, Rust host" in complaints

    picture = ElementTree.parse(tmp_path / "side_by_side.svg").getroot()
    assert picture.tag.endswith("svg")


@pytest.fixture(scope="module")
def rust_host(root: Path) -> Path:
    for profile in ("debug", "release"):
        if (host := root / f"target/{profile}/bench-host").exists():
            return host
    pytest.skip("there is no target/debug/bench-host; `cargo test` builds it")


@pytest.mark.slow
def test_a_rust_host_is_judged_beside_the_rivals(
    root: Path, tmp_path: Path, rust_host: Path
) -> None:
    mark = uuid.uuid4().hex
    options = ("--host", str(rust_host), "--only", "flight", "stream", "dispatch")
    _, complaints = side_by_side(root, tmp_path, *options, mark=mark)

    ours = [verdict["what"] for verdict in report(tmp_path)["verdicts"]]
    assert [what for what in ours if "Rust host" in what or "dispatch" in what] == [
        "64 in flight, Rust host, calls/s",
        "host CPU a call, 64 in flight, Rust host, µs",
        "stream of small items, Rust host, items/s",
        "dispatch, worst of 1, 8, 64 workers, µs",
        "dispatch, 64 workers as a multiple of 1",
    ], complaints
    figures = report(tmp_path)["passes"][0]["snakepit rust/flight"]
    assert figures["calls_s"] > 0
    assert figures["host_cpu"] > 0

    table = (tmp_path / "side_by_side.md").read_text()
    assert report(tmp_path)["machine"]["date"] in table
    assert "| 64 in flight, Rust host, calls/s |" in table
    assert "snakepit, Rust host" in (tmp_path / "side_by_side.svg").read_text()
    assert_nothing_left(f"BENCH_OF_THIS_TEST={mark}".encode())


def assert_nothing_left(variable: bytes) -> None:
    """No process has this in its environment; those that were told to go get time for it."""
    deadline = time.monotonic() + 30
    while left := [process for process in processes() if variable in environment(process)]:
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.01)


def processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or is another user's
        return []


def test_a_rust_host_says_what_it_needs(rust_host: Path) -> None:
    sizes = ["warm=1", "calls=1", "seconds=0.1", "items=1"]
    for arguments, complaint in [
        (["tea", *sizes], "one of: noop flight stream dispatch"),
        (["noop", "much"], "NAME=NUMBER"),
        (["dispatch"], "a size is missing: seconds=NUMBER"),
    ]:
        ended = subprocess.run([rust_host, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert complaint in ended.stderr

    ended = subprocess.run(
        [rust_host, "noop", *sizes],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SNAKEPIT_PYTHON": "/nowhere/python"},
    )
    assert ended.returncode == 2
    assert "/nowhere/python" in ended.stderr
    assert "SNAKEPIT_PYTHON names the interpreter" in ended.stderr
