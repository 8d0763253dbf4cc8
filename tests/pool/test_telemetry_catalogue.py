"""Every event that pools tell is told, with the measurements and metadata that the guide shows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import snakepit
from snakepit import CrashBarrier, Heartbeat, WorkerBreaker, telemetry

from .conftest import BASIC, Gates, until

GUIDE = Path(__file__).parents[2] / "docs" / "telemetry.md"

ELSEWHERE = {
    "snakepit.retry.refused",  # crates/testkit/tests/pool/telemetry.rs
    "snakepit.zero_copy.fault",  # crates/testkit/tests/pool/arenas.rs
    "snakepit.telemetry.dropped",  # test_telemetry.py
}


class Heard(NamedTuple):
    event: str
    measurements: dict[str, Any]
    metadata: dict[str, Any]


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    def __call__(self, event: str, measurements: Any, metadata: Any) -> None:
        self.heard.append(Heard(event, measurements, metadata))

    def await_(self, event: str, **metadata: Any) -> Heard:
        """The first one of that name and metadata, now or soon."""

        def found() -> Heard | None:
            for each in [*self.heard]:
                if each.event == event and metadata.items() <= each.metadata.items():
                    return each
            return None

        heard: Heard = until(found, f"{event} {metadata} in {self.heard[-20:]}")
        return heard


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    telemetry.attach("catalogue", "*", ear)
    yield ear
    telemetry.detach("catalogue")


def calls_streams_sessions_and_host_tools(ear: Ear, make_pool: Any) -> None:
    pool = make_pool("pool.calling_back:CallsBack", size=1, name="calls")
    pool.register_tool("add", lambda a, b: a + b)

    def fails(**_: Any) -> None:
        raise LookupError("no such row")

    pool.register_tool("fails", fails)
    pool.await_ready(60)
    assert pool.execute("back", {"name": "add", "arguments": {"a": 1, "b": 2}}, session="s") == 3
    with pytest.raises(snakepit.RemoteError):
        pool.execute("back", {"name": "fails", "arguments": {}})
    pool.close_session("s")
    initialized = ear.await_("snakepit.pool.initialized", pool="calls")
    assert initialized.measurements["workers"] == 1
    bound = ear.await_("snakepit.session.bound", pool="calls")
    assert bound.metadata == {"pool": "calls", "worker_id": "calls/0", "session_id": "s"}
    ear.await_("snakepit.session.closed", session_id="s", reason="closed")
    start = ear.await_("snakepit.host_tool.call.start", tool="add")
    assert (start.metadata["command"], start.metadata["session_id"]) == ("back", "s")
    ear.await_("snakepit.host_tool.call.stop", tool="add", worker_id="calls/0")
    failed = ear.await_("snakepit.host_tool.call.exception", tool="fails")
    assert failed.metadata["error"] == "LookupError"


def streams(ear: Ear, make_pool: Any) -> None:
    pool = make_pool(BASIC, size=1, name="streams")
    assert len(list(pool.execute_stream("count", {"upto": 2500}))) == 2500
    with pytest.raises(snakepit.RemoteError):
        list(pool.execute_stream("count_and_fail", {"upto": 3}))
    ear.await_("snakepit.grpc_worker.stream.start", command="count", worker_id="streams/0")
    stop = ear.await_("snakepit.grpc_worker.stream.stop", command="count")
    assert stop.measurements["chunks"] == 2500
    failed = ear.await_("snakepit.grpc_worker.stream.stop", command="count_and_fail")
    assert failed.metadata["error"] == "remote"


def what_is_done_about_workers_that_die(ear: Ear, make_pool: Any, gates: Gates) -> None:
    breaker = WorkerBreaker(failure_threshold=1, reset_timeout=0.1)
    pool = make_pool(
        BASIC, name="deaths", worker_breaker=breaker, crash_barrier=CrashBarrier(taint=0.2)
    )
    pool.await_ready(60)
    pool.execute("die_once", {"mark": gates("once")}, idempotent=True)
    attempt = ear.await_("snakepit.retry.attempt", pool="deaths")
    worker = attempt.metadata["worker_id"]
    assert attempt.metadata["command"] == "die_once"
    assert attempt.measurements["attempt"] == 2
    success = ear.await_("snakepit.retry.success", pool="deaths", command="die_once")
    assert success.measurements["attempts"] == 2
    crash = ear.await_("snakepit.worker.crash", worker_id=worker)
    assert (crash.metadata["reason"], crash.metadata["exit_code"]) == ("exit_3", 3)
    ended = ear.await_("snakepit.pool.worker.terminated", worker_id=worker)
    assert (ended.metadata["crash"], ended.metadata["planned"]) == (True, False)
    assert ended.metadata["generation"] == 1
    tainted = ear.await_("snakepit.worker.tainted", worker_id=worker)
    assert tainted.measurements["duration_ms"] == pytest.approx(200)
    ear.await_("snakepit.circuit_breaker.opened", worker_id=worker)
    ear.await_("snakepit.circuit_breaker.half_open", worker_id=worker)
    ear.await_("snakepit.worker.restarted", worker_id=worker, generation=2)
    until(lambda: pool.execute("ping") and pool.stats().barred == 0, "the breaker closes")
    ear.await_("snakepit.circuit_breaker.closed", worker_id=worker)

    gates.open("while")
    with pytest.raises(snakepit.PoisonCall):
        pool.execute("die_while", {"mark": gates("while")}, idempotent=True)
    given_up = ear.await_("snakepit.pool.call.quarantined", command="die_while")
    assert given_up.measurements["deaths"] == 2
    exhausted = ear.await_("snakepit.retry.exhausted", command="die_while")
    assert exhausted.metadata["error"] == "poison_call"


def the_breaker_of_a_pool(ear: Ear, make_pool: Any) -> None:
    breaker = snakepit.CircuitBreaker(failure_threshold=1, reset_timeout=0.05)
    pool = make_pool(BASIC, size=1, name="breaker", circuit_breaker=breaker, grace=0.1)
    pool.await_ready(60)
    with pytest.raises(snakepit.WorkerDied):
        pool.execute("die", {"how": "3"})
    opened = ear.await_("snakepit.circuit_breaker.opened", pool="breaker")
    # The slot's own needs more failures than that.
    assert "worker_id" not in opened.metadata
    time.sleep(0.1)
    pool.execute("ping")
    ear.await_("snakepit.circuit_breaker.half_open", pool="breaker")
    ear.await_("snakepit.circuit_breaker.closed", pool="breaker")


def workers_that_stall_do_not_let_go_or_are_replaced(
    ear: Ear, make_pool: Any, gates: Gates
) -> None:
    os.mkfifo(gates("pipe"))
    pool = make_pool(
        BASIC, size=1, name="lives", heartbeat=Heartbeat(interval=0.1, timeout=0.1), grace=0.1
    )
    held = pool.submit("seize", {"started": gates("seized"), "release": gates("pipe")})
    ear.await_("snakepit.heartbeat.heartbeat_timeout", worker_id="lives/0")
    Path(gates("pipe")).write_text("x")
    assert held.result(60) == "released"
    ear.await_("snakepit.heartbeat.recovered", worker_id="lives/0", generation=1)
    assert pool.execute("ping", session="s", timeout=60) == "pong"
    held = pool.submit("hold", {"release": gates("never"), "started": gates("began")})
    gates.wait("began")
    assert held.cancel()
    condemned = ear.await_("snakepit.worker.condemned", worker_id="lives/0")
    assert condemned.metadata["reason"] == "cancel"
    lost = ear.await_("snakepit.session.lost", pool="lives", session_id="s")
    assert lost.metadata["worker_id"] == "lives/0"
    until(lambda: pool.stats().ready == 1, "the next worker is ready")
    assert pool.execute("ping") == "pong"
    pool.recycle(pool.list_workers()[0].ref)
    recycled = ear.await_("snakepit.worker.recycled", worker_id="lives/0", generation=2)
    assert recycled.metadata["reason"] == "request"
    assert recycled.measurements["request_count"] == 1
    pool.close()
    ended = ear.await_("snakepit.pool.worker.terminated", worker_id="lives/0", generation=2)
    assert (ended.metadata["planned"], ended.metadata["reason"]) == (True, "recycle_request")
    ear.await_("snakepit.pool.closed", pool="lives")


def queues_and_shared_memory(ear: Ear, make_pool: Any, gates: Gates) -> None:
    memory = snakepit.SharedMemory(max_bytes=4 << 20, wait=0)
    pool = make_pool(BASIC, size=1, name="full", max_queue=1, shared_memory=memory)
    pool.await_ready(60)
    running = pool.submit("hold", {"release": gates("go"), "started": gates("full")})
    gates.wait("full")
    with pytest.raises(snakepit.CallTimeout):
        pool.execute("add", {"a": 1, "b": 2}, timeout=0.05)
    late = ear.await_("snakepit.pool.queue.timeout", pool="full", command="add")
    assert late.measurements["timeout_ms"] == pytest.approx(50)
    assert late.metadata["step"] in ("queued", "sent")
    with pytest.raises(snakepit.QueueFull):
        submit_many(pool)
    full = ear.await_("snakepit.pool.queue.full", pool="full", command="ping")
    assert full.measurements["max_queue_size"] == 1
    gates.open("go")
    running.result(60)
    assert len(pool.execute("echo", {"value": bytes(8 << 20)}, timeout=60)) == 8 << 20
    assert ear.await_("snakepit.zero_copy.fallback", pool="full").measurements["count"] > 0


def submit_many(pool: Any) -> None:
    for _ in range(100):  # Some wait in the worker.
        pool.submit("ping")


def a_pool_that_cannot_start(ear: Ear, make_pool: Any) -> None:
    pool = make_pool("pool.adapters:FailsToInitialize", size=1, name="broken", max_failed_starts=1)
    with pytest.raises(snakepit.StartError):
        pool.execute("ping")
    failed = ear.await_("snakepit.pool.worker.spawn_failed", pool="broken")
    assert failed.metadata["reason"]


def scripts(ear: Ear) -> None:
    settings = {"pools": {"default": {"adapter": BASIC, "size": 1, "inline": True}}}
    assert snakepit.run_as_script(lambda: snakepit.execute("ping"), settings) == "pong"

    def fails() -> None:
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        snakepit.run_as_script(fails, settings)
    ear.await_("snakepit.script.start")
    assert telemetry.flush(60)
    ends = [heard.metadata for heard in ear.heard if heard.event == "snakepit.script.stop"]
    assert ends == [{}, {"error": "LookupError"}]


class OnADevice:
    """An array that says that it is elsewhere."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **more: Any) -> Any:
        more.pop("dl_device", None)
        return self.array.__dlpack__(**more)


def tensors_on_devices(ear: Ear) -> None:
    with snakepit.Pool(BASIC, size=1, inline=True) as pool:
        pool.execute("echo", {"value": OnADevice(np.arange(3.0))})
    staged = ear.await_("snakepit.zero_copy.staged", device="cuda")
    assert staged.measurements["bytes"] == 24


def rows() -> dict[str, tuple[dict[str, bool], dict[str, bool]]]:
    """Of each event of the guide's table: measurements and metadata, and which are always there."""

    def fields(cell: str) -> dict[str, bool]:
        found = re.findall(r"`(\w+)` \(((?:[^()`]|`[^`]*`)*)\)", cell)
        return {name: "not always there" not in about for name, about in found}

    table = {}
    for line in GUIDE.read_text().splitlines():
        if line.startswith("| `snakepit."):
            _, name, _, measurements, metadata, _ = (cell.strip() for cell in line.split("|"))
            table[name.strip("`")] = fields(measurements), fields(metadata)
    return table


def test_all_of_the_catalogue_is_told_as_the_guide_says(
    ear: Ear, make_pool: Any, gates: Gates
) -> None:
    elsewhere = set(ELSEWHERE)
    calls_streams_sessions_and_host_tools(ear, make_pool)
    streams(ear, make_pool)
    what_is_done_about_workers_that_die(ear, make_pool, gates)
    the_breaker_of_a_pool(ear, make_pool)
    workers_that_stall_do_not_let_go_or_are_replaced(ear, make_pool, gates)
    queues_and_shared_memory(ear, make_pool, gates)
    a_pool_that_cannot_start(ear, make_pool)
    scripts(ear)
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        tensors_on_devices(ear)
    else:  # It cannot ask for a copy in the host's memory.
        elsewhere.add("snakepit.zero_copy.staged")
    assert telemetry.flush(60)
    table = rows()
    assert set(table) == set(telemetry.EVENTS)
    for event, measurements, metadata in ear.heard:
        for known, told in zip(table[event], (measurements, metadata), strict=True):
            assert set(told) <= set(known), event
            assert {name for name, always in known.items() if always} <= set(told), event
        for name, number in measurements.items():
            assert isinstance(number, int | float), (event, name)
            assert number >= 0, (event, name)
            if name == "system_time":
                assert abs(number / 1e9 - time.time()) < 3600
    told = {heard.event for heard in ear.heard}
    assert set(telemetry.EVENTS) - told - elsewhere == set()
