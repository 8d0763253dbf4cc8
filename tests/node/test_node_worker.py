"""Workers in JavaScript: they keep the protocol, and a pool treats them as it does all others."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pool.conftest import MARK, until

import snakepit
import snakepit.conformance
from snakepit import CallTimeout, Cancelled, RemoteError, StartError, ToolNotFound, WorkerDied

from .conftest import EXAMPLE

WINDOW = 1024

MakePool = Callable[..., Any]


@pytest.mark.parametrize(
    "bare",
    [
        pytest.param(False, id="behind a shim", marks=pytest.mark.slow),
        pytest.param(True, id="bare"),
    ],
)
def test_it_keeps_the_protocol(worker: str, bare: bool) -> None:
    report = snakepit.conformance.run(["node", worker], timeout=20, bare=bare)
    assert report.passed, report
    skipped = {finding.name for finding in report.findings if finding.outcome == "skipped"}
    without = {"probe", "cancel-early", "control-unknown", "words", "revoked", "condemned"}
    without |= {"telemetry-unasked", "telemetry", "telemetry-control", "telemetry-flood"}
    without |= {"span", "span-fails", "span-unsampled"}
    without |= {"segment", "segment-inline", "segment-refused", "unread", "unread-gone"}
    without |= {"segment-outside", "segment-own", "segment-own-refused"}
    assert skipped == without | {"value-float-whole"}, "it has frames only, and one number type"


def test_it_serves_beside_python_workers(script_pool: MakePool, make_pool: MakePool) -> None:
    script, python = script_pool(), make_pool()
    slugs = script.map("slugify", ({"text": f"Title №{n}"} for n in range(50)))
    echoes = python.map("echo", ({"value": n} for n in range(50)))
    assert list(slugs) == [f"title-no{n}" for n in range(50)]
    assert list(echoes) == list(range(50))
    assert script.execute("echo", {"value": 2**60 + 1}) == 2**60 + 1
    assert {worker.ref.pool for worker in script.list_workers()} == {"default"}


def test_the_example_runs(worker: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE / "beside_python.py"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "creme-brulee-co",
        "zwolf-boxkampfer",
        "a-la-carte",
        "[10007, 10009, 10037, 10039, 10061] all prime: True",
        "sum: 6",
        "deaf to its deadline: running",
        "and the pool goes on: well",
    ]


def test_a_slow_reader_stops_the_generator(script_pool: MakePool) -> None:
    pool = script_pool(size=1)
    (worker,) = pool.list_workers()
    with pool.execute_stream("primes") as primes:
        assert list(itertools.islice(primes, 5)) == [2, 3, 5, 7, 11]
        # Nobody reads on; a generator that did not stop would burn a processor for ever.
        until(lambda: rests(worker.pid), "the generator waits for its reader")
        assert next(primes) == 13
    made = pool.execute("produced")["primes"]
    assert WINDOW <= made <= 2 * WINDOW + 1, "a window beyond what was read, and no more"


def rests(pid: int, seconds: float = 0.2) -> bool:
    """The process used no processor time for a while."""
    before = processor_time(pid)
    time.sleep(seconds)
    return processor_time(pid) == before


def processor_time(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]


def test_a_stream_goes_on_as_it_is_read(script_pool: MakePool) -> None:
    pool = script_pool(size=1)
    assert list(pool.execute_stream("count", {"upto": 50_000})) == list(range(50_000))
    large = pool.execute_stream("count", {"upto": 20, "size": 500_000})
    assert [len(item) for item in large] == [500_000] * 20


def test_errors_are_those_of_the_script(script_pool: MakePool) -> None:
    pool = script_pool(size=1)
    with pytest.raises(RemoteError) as caught:
        pool.execute("fail", {"message": "no such ünit"})
    assert caught.value.type_name == "RangeError"
    assert "tools.js" in str(caught.value)
    with pytest.raises(ToolNotFound):
        pool.execute("slugfy", {"text": ""})


def test_sessions_have_a_home(script_pool: MakePool) -> None:
    pool = script_pool(size=2)
    with pool.session("a") as a, pool.session("b") as b:
        assert [a.execute("add", {"number": n}) for n in (1, 2, 3)] == [1, 3, 6]
        assert b.execute("add", {"number": 5}) == 5
    assert pool.execute_in_session("a", "add", {"number": 1}) == 1, "what was kept is gone"


def test_a_cancel_reaches_the_tool(script_pool: MakePool, tmp_path: Path) -> None:
    pool = script_pool(size=1)
    pid, started = pool.execute("pid"), tmp_path / "started"
    future = pool.submit("wait", {"started": str(started)})
    until(started.exists, "the tool starts")
    assert future.cancel()
    with pytest.raises(Cancelled):
        future.result(30)
    assert pool.execute("pid") == pid, "it listened, so it lives"


def test_a_deadline_kills_a_deaf_tool(script_pool: MakePool) -> None:
    pool = script_pool(size=1)
    pid = pool.execute("pid")
    with pytest.raises(CallTimeout) as caught:
        pool.execute("spin", timeout=0.3)
    assert caught.value.step == "running"
    assert pool.execute("pid", timeout=60) != pid


def test_a_killed_worker_fails_its_call_only(script_pool: MakePool, tmp_path: Path) -> None:
    pool = script_pool(size=2)
    started = [tmp_path / "first", tmp_path / "second"]
    calls = [pool.submit("wait", {"started": str(file)}) for file in started]
    until(lambda: all(file.exists() for file in started), "both run")
    os.kill(pool.list_workers()[0].pid, signal.SIGKILL)
    ended = until(lambda: [call for call in calls if call.done()], "a call ends")
    with pytest.raises(WorkerDied) as caught:
        ended[0].result(0)
    assert caught.value.signal == "SIGKILL"
    assert len(ended) == 1
    pool.await_ready(60)
    assert pool.execute("echo", {"value": "well"}, timeout=60) == "well"


def test_a_start_that_fails_says_why(worker: str, make_pool: MakePool) -> None:
    program = snakepit.Program("node", worker)
    pool = make_pool(program, size=1, adapter_args={"fail": "no model there"})
    with pytest.raises(StartError, match="no model there"):
        pool.await_ready(60)


def test_a_script_that_is_missing_says_what_node_said(make_pool: MakePool, worker: str) -> None:
    pool = make_pool(snakepit.Program("node", worker + ".gone"), size=1)
    with pytest.raises(StartError, match="Cannot find module"):
        pool.await_ready(60)


def test_nothing_outlives_a_killed_host(host: Any, worker: str) -> None:
    process = host.start_script(
        f"""
import snakepit

if __name__ == "__main__":
    pool = snakepit.Pool(snakepit.Program("node", {worker!r}), size=2)
    pool.await_ready(60)
    spinning = pool.submit("spin")
    print(*(worker.pid for worker in pool.list_workers()), flush=True)
    spinning.result()
"""
    )
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2
    assert all(MARK in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in workers)
    process.kill()
    process.wait()
    until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "both workers are gone"
    )
