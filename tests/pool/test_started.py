"""The pools of the module: started by configuration, used by functions, stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, NotStarted

from .conftest import BASIC, Host

TWO = {
    "adapter": BASIC,
    "grace": 0.3,
    "pools": {"default": {"size": 1}, "compute": {"size": 2, "timeout": 0.4}},
}


@pytest.fixture(autouse=True)
def stopped(nothing_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    snakepit.stop(drain=0)


def test_functions_of_the_original() -> None:
    snakepit.start(TWO)
    snakepit.await_ready(timeout=60)
    assert snakepit.execute("add", {"a": 1, "b": 2}) == 3
    assert snakepit.execute("add", {"a": 1, "b": 2}, pool="compute") == 3
    assert snakepit.submit("add", {"a": 1, "b": 2}).result() == 3
    pids = {snakepit.execute_in_session("u", "pid", pool="compute") for _ in range(4)}
    assert len(pids) == 1
    assert list(snakepit.execute_stream("count", {"upto": 3})) == [0, 1, 2]
    chunks: list[Any] = []
    assert (
        snakepit.execute_in_session_stream("u", "count", {"upto": 2}, on_chunk=chunks.append)
        is None
    )
    assert chunks == [0, 1]
    assert sorted({worker.ref.pool for worker in snakepit.list_workers()}) == ["compute", "default"]
    assert [worker.ref.slot for worker in snakepit.list_workers("compute")] == [0, 1]
    together, one = snakepit.get_stats(), snakepit.get_stats("compute")
    assert (together.workers, one.workers) == (3, 2)
    assert together.requests == snakepit.get_stats("default").requests + one.requests
    assert together.shared_memory is not None
    assert snakepit.get_pool("compute").name == "compute"


def test_each_pool_has_its_own_settings() -> None:
    snakepit.start(TWO)
    snakepit.await_ready("compute", timeout=60)
    with pytest.raises(snakepit.CallTimeout):
        snakepit.execute("hold", {"release": "/nowhere"}, pool="compute")
    with pytest.raises(ConfigError) as caught:
        snakepit.execute("add", pool="compte")
    assert caught.value.suggestion == "compute"


def test_not_started() -> None:
    for use in (
        lambda: snakepit.execute("add"),
        lambda: snakepit.execute_stream("count"),
        snakepit.get_stats,
        snakepit.list_workers,
        snakepit.await_ready,
        lambda: snakepit.get_stats("default"),
    ):
        with pytest.raises(NotStarted, match=r"snakepit\.start\(\)"):
            use()
    snakepit.stop()


def test_started_twice_is_started_once_unless_it_means_something_else() -> None:
    snakepit.start(TWO)
    pool = snakepit.get_pool("default")
    snakepit.start(TWO)
    snakepit.start(snakepit.settings(**TWO))
    assert snakepit.get_pool("default") is pool
    with pytest.raises(ConfigError, match=r"snakepit\.stop\(\)"):
        snakepit.start({**TWO, "grace": 0.5})
    snakepit.stop(drain=0)
    snakepit.stop(drain=0)
    with pytest.raises(NotStarted):
        snakepit.execute("add")
    assert pool.closed
    snakepit.start({**TWO, "grace": 0.5})
    assert snakepit.execute("add", {"a": 1, "b": 2}) == 3


def test_threads_that_start_and_stop_at_once() -> None:
    errors: list[BaseException] = []
    pools: list[Any] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        try:
            barrier.wait(30)
            snakepit.start(TWO)
            pools.append(snakepit.get_pool("default"))
        except BaseException as error:
            errors.append(error)

    def stop() -> None:
        try:
            barrier.wait(30)
            snakepit.stop(drain=0)
        except BaseException as error:
            errors.append(error)

    for target in (start, stop):
        threads = [threading.Thread(target=target) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert len(pools) == 8
    assert len({id(pool) for pool in pools}) == 1
    assert pools[0].closed


def test_what_cannot_be_started_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pool is configured"):
        snakepit.start()
    # The first pool could be made, the second cannot.
    broken = {"adapter": BASIC, "pools": {"a": {"size": 1}, "b": {"size": 0}}}
    with pytest.raises(ConfigError):
        snakepit.start(broken)
    with pytest.raises(NotStarted):
        snakepit.execute("add", pool="a")
    with pytest.raises(ConfigError, match="complete"):
        snakepit.start(snakepit.settings(**TWO), grace=1)


def test_pooling_may_be_off() -> None:
    snakepit.start({**TWO, "pooling_enabled": False})
    assert snakepit.list_workers() == []
    snakepit.await_ready()
    assert snakepit.get_stats().workers == 0
    with pytest.raises(NotStarted, match="pooling_enabled"):
        snakepit.execute("add")


def test_from_files_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "snakepit.toml").write_text(
        f'adapter = "{BASIC}"\ngrace = "300ms"\n[pools.default]\nsize = 1\n[pools.b]\nsize = 1\n'
    )
    monkeypatch.setenv("SNAKEPIT_POOLS__B__SIZE", "2")
    snakepit.start()
    assert (snakepit.get_pool().size, snakepit.get_pool("b").size) == (1, 2)
    assert snakepit.execute("add", {"a": 1, "b": 2}, pool="b") == 3
    # Workers are not told how their host is configured.
    assert snakepit.execute("environment", {"names": ["SNAKEPIT_POOLS__B__SIZE"]}) == [None]


def test_a_pool_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(f'adapter = "{BASIC}"\nsize = 1\nstream_timeout = "300ms"\ngrace = "200ms"\n')
    with snakepit.Pool.from_config(path=path, size=2) as pool:
        assert pool.size == 2
        pool.await_ready(60)
        steps = {"gates": [str(tmp_path / "never")]}
        with pytest.raises(snakepit.CallTimeout) as caught:
            list(pool.execute_stream("count_in_steps", steps))
        assert caught.value.timeout == 0.3
        with pytest.raises(snakepit.CallTimeout) as caught:
            list(pool.session("s").execute_stream("count_in_steps", steps, timeout=0.2))
        assert caught.value.timeout == 0.2
        assert list(pool.execute_stream("count", {"upto": 3}, timeout=None)) == [0, 1, 2]


async def of_file(path: Path) -> Any:
    async with snakepit.AsyncPool.from_config("only", path) as pool:
        return await pool.execute("add", {"a": 1, "b": 2})


def test_a_pool_of_a_file_for_asyncio(tmp_path: Path) -> None:
    import asyncio

    path = tmp_path / "other.toml"
    path.write_text(f'name = "only"\nadapter = "{BASIC}"\nsize = 1\n')
    assert asyncio.run(of_file(path)) == 3


def test_levels_of_loggers_are_those_until_it_is_stopped() -> None:
    import logging

    logger, inner = logging.getLogger("snakepit"), logging.getLogger("snakepit.worker")
    before = logger.level, inner.level
    snakepit.start({**TWO, "pooling_enabled": False, "log_level": "none"})
    assert not logger.isEnabledFor(logging.CRITICAL)
    assert not inner.isEnabledFor(logging.CRITICAL)
    snakepit.stop()
    assert (logger.level, inner.level) == before
    snakepit.start(
        {**TWO, "pooling_enabled": False, "log_level": "debug", "log_categories": ["worker"]}
    )
    assert inner.isEnabledFor(logging.DEBUG)
    assert not logger.isEnabledFor(logging.WARNING)
    snakepit.stop()
    assert (logger.level, inner.level) == before


def test_a_child_of_a_fork_has_none_of_it(host: Host) -> None:
    code, out, err = host.run_script(
        f"""
import os, snakepit
snakepit.start(adapter="{BASIC}", size=1)
print(snakepit.execute("add", {{"a": 1, "b": 2}}), flush=True)
child = os.fork()
if child == 0:
    try:
        snakepit.execute("add", {{"a": 1, "b": 2}})
    except snakepit.ForkedPool:
        print("forked", flush=True)
    snakepit.stop()
    snakepit.start(adapter="{BASIC}", size=1)
    print(snakepit.execute("add", {{"a": 2, "b": 2}}), flush=True)
    snakepit.stop()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(snakepit.execute("add", {{"a": 3, "b": 2}}), flush=True)
"""
    )
    assert (code, out.split()) == (0, ["3", "forked", "4", "5"]), err


def test_a_host_that_forgets_to_stop_leaves_nothing(host: Host) -> None:
    code, out, err = host.run_script(
        f"""
import snakepit
snakepit.start(adapter="{BASIC}", size=2)
print(snakepit.execute("add", {{"a": 1, "b": 2}}))
"""
    )
    assert (code, out, err) == (0, "3\n", "")
