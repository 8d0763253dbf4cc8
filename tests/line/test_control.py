"""The control socket: what gets through while a tool runs, and the ends of host and worker."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from snakepit.conformance.host import ScriptedHost
from snakepit.conformance.protocol import failure_kind

from .conftest import appears
from .ends import ADAPTER


def test_a_cancel_before_the_call_is_remembered(host: ScriptedHost) -> None:
    host.cancel(77)
    host.probe(1)  # read after the cancel
    assert host.probed() == 1
    host.call("note", value="ran", call={"call_id": 77})
    assert failure_kind(host.failure(77)) == "CANCELLED"
    assert host.result(host.call("noted")) == []


def test_of_many_early_cancels_the_oldest_is_forgotten(host: ScriptedHost) -> None:
    for call in range(1000, 1065):
        host.cancel(call)
    host.probe(1)
    assert host.probed() == 1
    assert host.result(host.call("echo", value=1, call={"call_id": 1000})) == 1
    assert (
        failure_kind(host.failure(host.call("echo", value=1, call={"call_id": 1001})))
        == "CANCELLED"
    )
    assert host.result(host.call("echo", value=2, call={"call_id": 1001})) == 2, "used once"


def test_a_cancel_reaches_the_callback_of_a_running_tool(
    host: ScriptedHost, tmp_path: Path
) -> None:
    waits = tmp_path / "waits"
    call = host.call("until_cancelled", file=str(waits))
    appears(waits)
    host.cancel(call)
    # It returned in spite of the cancel: that is a result like any other.
    assert host.result(call) == "cleaned up"


def test_a_cancelled_tool_that_fails_was_cancelled(host: ScriptedHost) -> None:
    call = host.call("fail_when_cancelled")
    host.cancel(call)
    assert failure_kind(host.failure(call)) == "CANCELLED"
    assert failure_kind(host.failure(host.call("fail", how="x"))) == "EXCEPTION"


def test_a_cancel_ends_a_coroutine(host: ScriptedHost) -> None:
    call = host.call("sleep")
    host.probe(1)
    assert host.probed() == 1
    host.cancel(call)
    assert failure_kind(host.failure(call)) == "CANCELLED"


def test_a_late_cancel_harms_nobody(host: ScriptedHost) -> None:
    call = host.call("echo", value=1)
    assert host.result(call) == 1
    host.cancel(call)
    assert host.result(host.call("echo", value=2)) == 2


def test_who_asks_is_told_where_a_tool_is(host: ScriptedHost, tmp_path: Path) -> None:
    release = tmp_path / "release"
    call = host.call("block", file=str(release))
    told = ""
    for nonce in range(1, 1000):
        host.control.send(struct.pack("<cQB", b"L", nonce, 0))
        kind, fields, _ = host.heard()
        assert (kind, fields[:8]) == (b"L", nonce.to_bytes(8, "little"))
        told = fields[8:].decode()
        if "in block" in told:
            break
    assert "in block" in told
    assert "adapter_of_line.py" in told
    release.touch()
    host.result(call)


def test_probes_are_answered_idle_and_while_a_tool_runs(host: ScriptedHost, tmp_path: Path) -> None:
    host.probe(1)
    assert host.probed() == 1
    release = tmp_path / "release"
    call = host.call("block", file=str(release))
    for nonce in range(2, 20):
        host.probe(nonce)
        assert host.probed() == nonce
    release.touch()
    assert host.result(call) == "released"


def test_drain_answers_what_was_sent_and_cleans_up(attach: Callable[..., ScriptedHost]) -> None:
    host = attach()
    host.handshake()
    calls = [host.call("echo", value=number) for number in range(50)]
    host.send(drain={})
    assert [host.result(call) for call in calls] == list(range(50))
    assert host.frame() is None
    assert host.process.exit_code(20) == 0


def test_a_large_result_is_out_before_the_worker_drains(
    attach: Callable[..., ScriptedHost],
) -> None:
    host = attach(max_message=64 << 20)
    host.handshake()
    call = host.call("large", size=48 << 20)
    host.send(drain={})
    assert len(host.result(call)) == 48 << 20
    assert host.process.exit_code(20) == 0


def test_the_end_of_the_line_ends_the_worker(host: ScriptedHost) -> None:
    host.hang_up_line()
    assert host.worker_ended()
    assert host.process.exit_code(20) == 70


@pytest.mark.parametrize("tool", ["", "block"])
def test_the_worker_ends_with_its_host_should_the_shim_not_end_it(
    host: ScriptedHost, tool: str
) -> None:
    if tool:
        host.call(tool, file="/nonexistent")
    host.process.stop_shim()
    host.control.close()
    assert host.worker_ended()


def test_a_host_that_does_not_initialize_ends_the_start(
    attach: Callable[..., ScriptedHost],
) -> None:
    host = attach()
    assert host.greet().pid == host.worker_pid
    host.send(drain={})
    assert host.worker_ended()
    assert host.process.exit_code(20) == 1


def test_a_failed_start_is_told_before_the_worker_goes(attach: Callable[..., ScriptedHost]) -> None:
    host = attach(f"{ADAPTER}OfNobody")
    failed = host.handshake()
    assert (failure_kind(failed.failure), failed.permanent) == ("ADAPTER_SOURCE", True)
    host.hang_up_line()
    assert host.process.exit_code(20) == 1
