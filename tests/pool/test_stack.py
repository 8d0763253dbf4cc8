"""Where a worker was that had to be killed, or that crashed."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from snakepit import CallTimeout, SessionLost, WorkerDied

from .conftest import Gates, until

STUBBORN = "pool.stubborn:Stubborn"


def not_over_grpcio(reason: str) -> pytest.MarkDecorator:
    """For what the pure Python end of the line does otherwise by its nature."""
    return pytest.mark.skipif(os.environ.get("SNAKEPIT_LINE") == "grpcio", reason=reason)


HELD = pytest.param(
    "hold_the_interpreter",
    marks=not_over_grpcio("a thread of Python tells the stack there: not while a tool holds it"),
)


def lost_after_deadline(pool: Any, gates: Gates, tool: str) -> SessionLost:
    """What a call is told that waits behind one which does not stop at its deadline."""
    with pool.session("s") as session:
        running = session.submit(tool, {"started": gates("s")}, timeout=1.0)
        gates.wait("s")
        waiting = session.submit("ping")
        assert isinstance(running.exception(30), CallTimeout)
        error = waiting.exception(30)
    assert isinstance(error, SessionLost)
    return error


@pytest.mark.parametrize("tool", [HELD, "ignore_sigterm", "block_all_signals"])
def test_the_stack_is_told_whatever_the_tool_does(
    make_pool: Any, gates: Gates, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(STUBBORN, size=1)
    pool.await_ready(60)
    with caplog.at_level(logging.WARNING, "snakepit.worker"):
        error = lost_after_deadline(pool, gates, tool)
        assert error.stack is not None
        assert f"in {tool}" in error.stack
        assert "stubborn.py" in error.stack
        assert len(error.stack) <= 64 * 1024
        until(lambda: f"in {tool}" in caplog.text, "it is logged")
    assert "killed (deadline)" in caplog.text
    assert pool.execute("ping", timeout=60) == "pong", "the slot is refilled"


@pytest.mark.parametrize("line", ["native", "grpcio"])
@pytest.mark.parametrize("tool", ["hold_the_interpreter", "ignore_sigterm", "block_all_signals"])
def test_its_caller_is_freed_at_once_and_it_goes_after_the_grace(
    make_pool: Any, gates: Gates, tool: str, line: str
) -> None:
    pool = make_pool(STUBBORN, size=1, line=line)
    pool.await_ready(60)
    worker = pool.list_workers()[0].pid
    call = pool.submit(tool, {"started": gates("s")}, timeout=1.0)
    gates.wait("s")
    begin = time.monotonic()
    assert isinstance(call.exception(30), CallTimeout)
    assert time.monotonic() - begin < 1 + 5, "0.05 s after its deadline, where nobody is in the way"
    until(lambda: not Path(f"/proc/{worker}").exists(), "it is gone")
    assert time.monotonic() - begin < 1 + 0.3 + 0.25 + 1 + 5, "the grace, its stack, SIGTERM"
    assert pool.execute("ping", timeout=60) == "pong"


def test_over_grpcio_a_tool_that_lets_others_run_tells_it_too(make_pool: Any, gates: Gates) -> None:
    pytest.importorskip("grpc")
    pool = make_pool(STUBBORN, size=1, line="grpcio")
    pool.await_ready(60)
    error = lost_after_deadline(pool, gates, "ignore_sigterm")
    assert error.stack is not None
    assert "in ignore_sigterm" in error.stack


@not_over_grpcio("a thread of Python tells the stack there: it needs no signal and no handler")
def test_no_handler_no_stack(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(STUBBORN, size=1)
    pool.await_ready(60)
    error = lost_after_deadline(pool, gates, "forget_the_fault_handler")
    assert error.stack is None
    assert pool.execute("ping", timeout=60) == "pong"


def test_a_cancel_is_no_warning(
    make_pool: Any, gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(STUBBORN, size=1)
    pool.await_ready(60)
    with caplog.at_level(logging.INFO, "snakepit.worker"):
        call = pool.submit("hold_the_interpreter", {"started": gates("s")})
        gates.wait("s")
        call.cancel()
        until(lambda: "killed (cancel)" in caplog.text, "it is logged")
    assert {record.levelno for record in caplog.records} == {logging.INFO}


@pytest.mark.parametrize(
    ("tool", "said", "cause"),
    [("crash", "Segmentation fault", "signal_11"), ("abort", "Aborted", "signal_6")],
)
def test_a_crash_tells_its_stack(make_pool: Any, tool: str, said: str, cause: str) -> None:
    pool = make_pool(STUBBORN, size=1)
    with pytest.raises(WorkerDied) as caught:
        pool.execute(tool)
    error = caught.value
    assert error.cause == cause
    assert error.stack is not None
    assert error.stack.startswith(f"Fatal Python error: {said}")
    assert f"in {tool}" in error.stack
