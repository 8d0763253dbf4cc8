"""What a tool forks is not the worker: it neither hangs, nor speaks for it, nor keeps its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import until

GRPC = "GRPC_ENABLE_FORK_SUPPORT"

pytestmark = pytest.mark.filterwarnings("ignore:This process")


@pytest.fixture(params=["native", "grpcio"])
def forking(make_pool: Any, request: pytest.FixtureRequest) -> Any:
    # Handlers of gRPC's own, which an adapter's environment may ask for, would wait for our line.
    environment = {GRPC: "true", "PYTHONWARNINGS": "ignore"}
    return make_pool("pool.children:Forking", size=1, line=request.param, env=environment)


def test_children_of_a_tool_work(forking: Any) -> None:
    for _ in range(5):
        assert forking.execute("doubled", {"upto": 10}) == [*range(0, 20, 2)]


def test_a_child_that_returns_from_its_tool_ends_there(forking: Any) -> None:
    for _ in range(5):
        assert forking.execute("child_that_leaves") == 70
        assert list(forking.execute_stream("child_that_goes_on_streaming")) == [70, 2]


def test_a_child_does_not_hold_the_line(forking: Any) -> None:
    own, childs = forking.execute("sockets")
    assert len(own) == 2, "control socket and line"
    assert len(childs) == 1
    assert set(childs) < set(own)


def test_orphans_are_reaped(forking: Any) -> None:
    orphans = forking.execute("daemons_that_end", {"count": 20})
    assert len(orphans) == 20
    until(lambda: not [pid for pid in orphans if Path(f"/proc/{pid}").exists()], "they are reaped")


def test_the_environment_of_child_programs_is_the_adapters(forking: Any) -> None:
    assert forking.execute("child_programs_environment", {"name": GRPC}) == "true"
