"""What a type checker makes of the public interface. Checked by mypy, never run.

An expected complaint is a ``type: ignore`` with its code; mypy fails where one is not needed.
"""

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, assert_type

import snakepit


class Adapter: ...


def pools() -> None:
    snakepit.Pool(Adapter, size=4)
    snakepit.Pool("module:Class", size=4, timeout=timedelta(minutes=1), env={"A": None})
    snakepit.Pool(Adapter, size=4, affinity="hint", worker_output="log", timeout=None)
    snakepit.Pool(Adapter, size=4, env=("strict", {"GPU": ["0", "1"], "HOME": "/scratch/{slot}"}))
    snakepit.Pool(Adapter, size=4, limits=snakepit.Limits(nice=5, open_files=4096))
    snakepit.Pool(Adapter, size=4, limits={"umask": 0o077})
    snakepit.Pool(Adapter, size=4, worker_breaker=snakepit.WorkerBreaker(window=10))
    snakepit.Pool(Adapter, size=4, worker_breaker=None)
    snakepit.Pool(Adapter, size=4, worker_breaker=5)  # type: ignore[arg-type]
    snakepit.Pool(Adapter)  # type: ignore[call-arg]
    snakepit.Pool(Adapter, size=4, limits=5)  # type: ignore[arg-type]
    snakepit.Pool(Adapter, size=4, env={"A": 1})  # type: ignore[dict-item]
    snakepit.Pool(Adapter(), size=4)  # type: ignore[arg-type]
    snakepit.Pool(Adapter, size="4")  # type: ignore[arg-type]
    snakepit.Pool(Adapter, size=4, sise=4)  # type: ignore[call-arg]
    snakepit.Pool(Adapter, size=4, affinity="strict")  # type: ignore[arg-type]
    snakepit.Pool(Adapter, size=4, start_timeout=None)  # type: ignore[arg-type]


def calls(pool: snakepit.Pool) -> None:
    assert_type(pool.execute("ping"), Any)
    pool.execute("add", {"a": 1}, timeout=None, session="user", idempotent=True)
    pool.execute("add", {1: 1})  # type: ignore[dict-item]
    pool.execute("add", [1])  # type: ignore[arg-type]
    pool.execute("add", timeout="5")  # type: ignore[arg-type]

    future = pool.submit("add")
    assert_type(future, snakepit.Future)
    standard: concurrent.futures.Future[Any] = future
    concurrent.futures.wait([standard, future])
    for each in concurrent.futures.as_completed([future]):
        assert_type(each.result(), Any)

    assert_type(pool.map("add", [{"a": 1}, None]), Iterator[Any])
    assert_type(pool.stats().queue_timeouts, int)
    assert_type(pool.list_workers()[0].ref, snakepit.WorkerRef)
    assert_type(pool.list_workers()[0].pid, int | None)


def streams(pool: snakepit.Pool) -> None:
    assert_type(pool.execute_stream("train"), snakepit.Stream)
    assert_type(pool.execute_in_session_stream("user", "train"), snakepit.Stream)
    pool.execute_stream("train", on_chunk=print)
    for chunk in pool.execute_stream("train", on_chunk=print):  # type: ignore[attr-defined]
        print(chunk)
    info: snakepit.SessionInfo | None = pool.session(ttl=None, metadata={"k": 1}).info()
    closed: bool = pool.close_session("user") or info is None or bool(pool.sessions())
    pool.execute_in_session("user", "ping", affinity="hint" if closed else "strict_queue")
    with pool.session("user") as session, session.execute_stream("train") as chunks:
        assert_type(session, snakepit.Session)
        assert_type(chunks, snakepit.Stream)


async def asynchronous(pool: snakepit.AsyncPool) -> None:
    assert_type(await pool.execute("ping"), Any)
    assert_type(pool.submit("ping"), asyncio.Future[Any])
    assert_type(pool.map("add", [{"a": 1}]), AsyncIterator[Any])
    assert_type(pool.execute_stream("train"), snakepit.AsyncStream)
    assert_type(await pool.execute_stream("train", on_chunk=print), None)
    async with pool.session("user") as session:
        assert_type(session, snakepit.AsyncSession)
        async for chunk in session.execute_stream("train"):
            print(chunk)


def two_faces(pool: snakepit.Pool, other: snakepit.AsyncPool) -> None:
    pool.execute("ping", session=other.session("user"))  # type: ignore[arg-type]


def configured() -> None:
    assert_type(snakepit.Pool.from_config("large", size=4), snakepit.Pool)
    assert_type(snakepit.AsyncPool.from_config(path="pool.toml"), snakepit.AsyncPool)
    assert_type(snakepit.settings(timeout="30s").pool(), snakepit.PoolSettings)
    snakepit.start()
    snakepit.start({"adapter": Adapter, "size": 2}, path="pool.toml", timeout=5)
    snakepit.start(["size"])  # type: ignore[arg-type]
    assert_type(snakepit.execute("ping", pool="large"), Any)
    assert_type(snakepit.submit("ping"), snakepit.Future)
    assert_type(snakepit.execute_stream("train", idle_timeout=None), snakepit.Stream)
    snakepit.execute_in_session_stream("user", "train", on_chunk=print)
    assert_type(snakepit.get_stats(), snakepit.PoolStats)
    assert_type(snakepit.list_workers("large"), list[snakepit.WorkerInfo])
    assert_type(snakepit.get_pool(), snakepit.Pool)
    snakepit.stop(drain=timedelta(seconds=1))

    async def later() -> int:
        return 1

    def now() -> str:
        return "now"

    assert_type(snakepit.run_as_script(later), int)
    assert_type(snakepit.run_as_script(now, {"adapter": Adapter}, halt=False), str)


def errors(error: snakepit.WorkerDied, timeout: snakepit.CallTimeout) -> None:
    assert_type(error.may_have_run, bool)
    assert_type(error.exit_code, int | None)
    assert_type(error.worker, snakepit.WorkerRef | None)
    assert_type(timeout.step, str | None)
    try:
        raise timeout
    except TimeoutError:
        pass
    try:
        raise snakepit.errors.RemoteKeyError("raised")
    except KeyError:
        pass
