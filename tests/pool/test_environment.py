"""What a worker finds: environment, modules, directory; and where its output goes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import pytest

import snakepit

from .conftest import Host, until


def test_environment(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKEPIT_SETTING", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PASSED", "on")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pool = make_pool(secrets=["AWS_SECRET_ACCESS_KEY"], env={"ADDED": "näü"})
    names = ["SNAKEPIT_SETTING", "AWS_SECRET_ACCESS_KEY", "PASSED", "ADDED"]
    assert pool.execute("environment", {"names": names}) == [None, None, "on", "näü"]
    (threads,) = pool.execute("environment", {"names": ["OMP_NUM_THREADS"]})
    assert int(threads) == max(1, snakepit.hardware.detect().cpu.usable.cores // 2)


def test_bytes_that_are_no_text(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"ODD", b"\xff\xfe")
    assert make_pool().execute("ping") == "pong"


def test_modules_of_the_host(make_pool: Any, host: Host) -> None:
    host.write("VALUE = 1\n", "only_here.py")
    pool = make_pool()
    seen = pool.execute("interpreter")
    assert seen["prefix"] == sys.prefix
    hosts = list(dict.fromkeys(os.path.abspath(p) for p in sys.path))  # each folder once
    assert seen["path"][: len(hosts)] == hosts
    with pytest.raises(ModuleNotFoundError):
        pool.execute("imported", {"name": "only_here"})
    other = make_pool(name="other", pythonpath=[host.directory])
    assert other.execute("imported", {"name": "only_here"}) == str(host.directory / "only_here.py")


def test_output_is_shown_with_the_workers_name(host: Host) -> None:
    code, out, err = host.run_script(
        "import snakepit\n"
        "with snakepit.Pool('pool.adapters:Basic', size=1, name='gpu') as pool:\n"
        "    pool.execute('say', {'text': 'hello from inside'})\n"
        "    pool.execute('say', {'text': 'careful', 'stream': 'stderr'})\n"
    )
    assert (code, out) == (0, "")
    assert "[gpu/0] hello from inside\n" in err
    assert "[gpu/0] careful\n" in err


def test_output_can_be_dropped(host: Host) -> None:
    code, out, err = host.run_script(
        "import snakepit\n"
        "with snakepit.Pool('pool.adapters:Basic', size=1, worker_output='drop') as pool:\n"
        "    for _ in range(20_000):\n"
        "        pool.execute('say', {'text': 'x' * 100})\n"
    )
    assert (code, out, err) == (0, "", "")


def test_output_can_be_logged(make_pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "snakepit.worker"):
        pool = make_pool(size=1, worker_output="log")
        pool.execute("say", {"text": "to the log"})
        until(
            lambda: "[default/0] to the log" in [r.getMessage() for r in caplog.records],
            "the line is logged",
        )
        pool.close()
