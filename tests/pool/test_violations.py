"""A worker that breaks the protocol is killed and replaced; the error names what it did.

Every way to do so is tried on the core, with workers that lie on demand; here it must reach Python.
"""

from __future__ import annotations

from typing import Any

import pytest

from snakepit import StartError, WorkerDied

from .conftest import Gates, until

LIAR = """
import os
import socket
import time

from snakepit_bridge import BaseAdapter, tool


def shout():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            end = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        with end:
            if str(end.getpeername()).endswith(".sock"):
                end.send(b"\\xff" * 64)


class Liar(BaseAdapter):
    @tool
    def lie(self) -> None:
        shout()
        os.read(os.pipe()[0], 1)

    @tool
    def hold(self, started: str, release: str) -> str:
        open(started, "x").close()
        while not os.path.exists(release):
            time.sleep(0.002)
        return "held"

    @tool
    def ping(self) -> str:
        return "pong"


class EarlyLiar(BaseAdapter):
    def initialize(self) -> None:
        shout()
        os.read(os.pipe()[0], 1)
"""


@pytest.fixture
def module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "module_that_lies.py").write_text(LIAR)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "module_that_lies"


def test_a_call_is_told_what_its_worker_did(make_pool: Any, module: str, gates: Gates) -> None:
    pool = make_pool(f"{module}:Liar")
    pool.await_ready(60)
    bystander = pool.submit("hold", {"started": gates("started"), "release": gates("go")})
    gates.wait("started")
    with pytest.raises(WorkerDied, match="broke the protocol: bytes that are no frame") as caught:
        pool.execute("lie")
    assert caught.value.violation == "malformed_frame"
    gates.open("go")
    assert bystander.result(30) == "held"
    until(lambda: pool.stats().ready == 2, "the slot is refilled")
    assert {pool.execute("ping") for _ in range(4)} == {"pong"}
    assert pool.stats().worker_deaths == 1


def test_a_start_that_breaks_the_protocol_says_so(make_pool: Any, module: str) -> None:
    pool = make_pool(f"{module}:EarlyLiar", size=1)
    with pytest.raises(StartError, match="broke the protocol: bytes that are no frame") as caught:
        pool.await_ready(60)
    assert caught.value.violation == "malformed_frame"


def test_a_death_of_another_kind_has_no_violation(pool: Any) -> None:
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": "3"})
    assert caught.value.violation is None
