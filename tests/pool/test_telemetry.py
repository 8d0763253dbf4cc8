"""Events of real pools, as handlers in the host's process hear them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from snakepit import telemetry

from .conftest import BASIC, Host

CALLS = "snakepit.grpc_worker.execute."


class Heard(list[tuple[str, dict[str, Any], dict[str, Any]]]):
    """A handler that keeps what it hears."""

    def __call__(self, event: str, measurements: Any, metadata: Any) -> None:
        self.append((event, measurements, metadata))

    def of(self, event: str, **metadata: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Those of that name, and of that metadata."""
        assert telemetry.flush(60)
        return [
            (numbers, facts)
            for name, numbers, facts in self
            if name == event and metadata.items() <= facts.items()
        ]


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    telemetry.attach("everything", "snakepit.*", heard)
    yield heard
    telemetry.detach("everything")


def test_the_originals_snippets(capsys: pytest.CaptureFixture[str]) -> None:
    def spawned(event: str, measurements: Any, metadata: Any) -> None:
        print(f"Worker {metadata['worker_id']} spawned in {measurements['duration']:.0f}ms")

    def stopped(event: str, measurements: Any, metadata: Any) -> None:
        assert measurements["duration_ms"] > 0
        print(f"{metadata['command']} completed")

    with snakepit.Pool(BASIC, size=1, name="before") as before:
        before.await_ready(60)
        telemetry.attach("worker-spawned", "snakepit.pool.worker.spawned", spawned)
        telemetry.attach("python-call", "snakepit.grpc_worker.execute.stop", stopped)
        try:
            before.execute("ping")
            with snakepit.Pool(BASIC, size=1, name="after") as after:
                after.execute("add", {"a": 1, "b": 2})
            assert telemetry.flush(60)
            assert sorted(handler.id for handler in telemetry.list_handlers()) == [
                "python-call",
                "worker-spawned",
            ]
        finally:
            telemetry.detach("worker-spawned")
            telemetry.detach("python-call")
        before.execute("ping")
        assert telemetry.flush(60)
    ping, worker, add = capsys.readouterr().out.splitlines()
    assert (ping, add) == ("ping completed", "add completed")
    assert worker.startswith("Worker after/0 spawned in ")


@pytest.mark.parametrize("inline", [False, True])
def test_calls_are_told_in_the_same_way_with_workers_and_without(
    heard: Heard, inline: bool
) -> None:
    with snakepit.Pool(BASIC, size=1, name="p", inline=inline, worker_output="drop") as pool:
        pool.execute("ping", session="s")
        with pytest.raises(snakepit.RemoteError):
            pool.execute("fail", {"kind": "ValueError", "text": "on purpose"})
        with pytest.raises(snakepit.ToolNotFound):
            pool.submit("nonsense").result()
        assert len(list(pool.execute_stream("count", {"upto": 3}))) == 3
        with pool.execute_stream("count", {"upto": 10**6}) as stream:
            next(iter(stream))
        asyncio.run(on_a_loop(inline))
        with pytest.raises(snakepit.EncodeError):
            pool.execute("echo", {"value": object()})
    with pytest.raises(snakepit.PoolClosed):
        pool.execute("ping")
    assert telemetry.flush(60)
    calls = [
        (event.removeprefix(CALLS), numbers, facts)
        for event, numbers, facts in heard
        if event.startswith(CALLS)
    ]
    told = [
        [end, facts["command"], *map(facts.get, ("error", "worker_id", "session_id"))]
        for end, _, facts in calls
    ]
    worker = "p/0"
    assert told == [
        ["start", "ping", None, None, "s"],
        ["stop", "ping", None, worker, "s"],
        ["start", "fail", None, None, None],
        ["exception", "fail", "remote", worker, None],
        ["start", "nonsense", None, None, None],
        ["exception", "nonsense", "tool_not_found", worker, None],
        ["start", "count", None, None, None],
        ["stop", "count", None, worker, None],
        ["start", "count", None, None, None],
        ["exception", "count", "cancelled", worker, None],
        ["start", "echo", None, None, None],
        ["stop", "echo", None, worker, None],
        ["start", "ping", None, None, None],
        ["exception", "ping", "pool_closed", None, None],
    ]
    for end, numbers, facts in calls:
        ((name, number),) = numbers.items()
        assert name == ("system_time" if end == "start" else "duration_ms")
        assert number > 0
        assert facts["pool"] == "p"


async def on_a_loop(inline: bool) -> None:
    async with snakepit.AsyncPool(BASIC, size=1, name="p", inline=inline) as pool:
        assert await pool.execute("echo", {"value": 1}) == 1


def test_what_a_handler_does_to_its_dicts_no_other_event_says() -> None:
    heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    kept: list[dict[str, Any]] = []

    def change(event: str, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        heard.append((event, dict(measurements), dict(metadata)))
        match len(heard) % 7:
            case 0:
                measurements.clear()
            case 1:
                metadata["command"] = "another"
            case 2:
                metadata["more"] = measurements["more"] = 1
            case 3:
                del metadata["pool"]
            case 4:
                metadata["pool"] = metadata.pop("pool")  # another order
            case 5:
                kept.append(metadata)

    with snakepit.Pool(BASIC, size=1, name="p") as pool:
        pool.await_ready(60)
        telemetry.attach("change", f"{CALLS}*", change)
        try:
            for _ in range(35):
                pool.execute("ping")
            assert telemetry.flush(60)
        finally:
            telemetry.detach("change")
    begun = f"{CALLS}start", ["system_time"], {"pool": "p", "command": "ping"}
    ended = f"{CALLS}stop", ["duration_ms"], {**begun[2], "worker_id": "p/0"}
    assert [(event, [*numbers], facts) for event, numbers, facts in heard] == [begun, ended] * 35
    assert [*heard[0][2]] == [*heard[-2][2]] == ["pool", "command"]
    assert kept == [heard[at][2] for at in range(4, 70, 7)]


def test_a_handler_may_use_a_pool(heard: Heard) -> None:
    answers: list[Any] = []
    with snakepit.Pool(BASIC, size=1) as pool:

        def asks(event: str, measurements: Any, metadata: Any) -> None:
            if metadata["command"] == "ping":
                answers.append(pool.execute("add", {"a": 1, "b": 2}))

        telemetry.attach("asks", CALLS + "stop", asks)
        try:
            pool.execute("ping")
            assert telemetry.flush(60)
        finally:
            telemetry.detach("asks")
    assert answers == [3]


def test_a_slow_handler_holds_up_no_call_and_loses_the_oldest() -> None:
    begun, gate, commands = threading.Event(), threading.Event(), list[str]()

    def slow(event: str, measurements: Any, metadata: Any) -> None:
        begun.set()
        gate.wait(60)
        commands.append(metadata.get("command", event))

    before = telemetry.dropped()
    with snakepit.Pool(BASIC, size=1, inline=True) as pool:
        telemetry.attach_many("slow", [CALLS + "stop", "snakepit.telemetry.*"], slow)
        try:
            pool.execute("ping")
            assert begun.wait(60), "what comes now has to wait"
            for _ in range(16384 + 2000):
                pool.execute("ping")
            pool.execute("add", {"a": 1, "b": 2})
            gate.set()
            assert telemetry.flush(60)
        finally:
            gate.set()
            telemetry.detach("slow")
    dropped = telemetry.dropped() - before
    assert 0 < dropped <= 2001
    assert commands.count("ping") == 1 + 16384 + 2000 - dropped
    assert commands[-2:] == ["add", "snakepit.telemetry.dropped"]


def test_what_waits_at_the_end_of_the_program_is_handled(host: Host) -> None:
    code, out, err = host.run_script(
        """
import snakepit
from snakepit import telemetry

def ended(event, measurements, metadata):
    print(metadata["command"] if "command" in metadata else metadata["reason"], flush=True)

telemetry.attach_many(
    "ended", ("snakepit.grpc_worker.execute.stop", "snakepit.pool.worker.terminated"), ended
)
pool = snakepit.Pool("pool.adapters:Basic", size=1)
pool.execute("ping")
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["ping", "close"]


def test_a_handler_that_hangs_does_not_hold_up_the_end_for_long(host: Host) -> None:
    code, out, err = host.run_script(
        """
import threading
import snakepit
from snakepit import telemetry

telemetry.attach("hangs", "*.execute.stop", lambda *_: threading.Event().wait())
with snakepit.Pool("pool.adapters:Basic", size=1) as pool:
    pool.execute("ping")
print("end")
"""
    )
    assert (code, out, err) == (0, "end\n", "")


def test_a_fork_has_the_handlers_for_pools_of_its_own(host: Host) -> None:
    code, out, err = host.run_script(
        """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import snakepit
from snakepit import telemetry

telemetry.attach("calls", "*.execute.stop", lambda event, _, metadata: print(
    os.getpid() == parent, metadata["pool"], metadata["command"], flush=True
))
parent = os.getpid()
with snakepit.Pool("pool.adapters:Basic", size=1, name="parents") as pool:
    pool.execute("ping")
    assert telemetry.flush(60)
    child = os.fork()
    if child == 0:
        with snakepit.Pool("pool.adapters:Basic", size=1, name="childs") as own:
            own.execute("ping")
        assert telemetry.flush(60)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    pool.execute("ping")
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["True parents ping", "False childs ping", "True parents ping"]
