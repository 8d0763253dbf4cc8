"""Ctrl-C: a real SIGINT to a program that waits."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Gates, Host, until

WAITS = {
    "execute": "pool.execute('hold', args)",
    "result": "pool.submit('hold', args).result()",
    "stream": "next(pool.execute_stream('count_in_steps', {'gates': [args['release']]}))",
    "map": "next(pool.map('hold', [args]))",
    "wait": "import concurrent.futures as f; f.wait([pool.submit('hold', args)])",
}


def interrupt(process: Any) -> float:
    """Press Ctrl-C while the main thread waits: between two lines of the script, a future that it
    has just made would be lost, and its call with it."""
    until(lambda: waits(process.pid), "its main thread waits")
    process.send_signal(signal.SIGINT)
    return time.monotonic()


def waits(pid: int) -> bool:
    """Whether the main thread sleeps, whenever one looks: what has something to do is runnable,
    even where the machine has no time for it."""
    for _ in range(5):
        if "State:\tS" not in Path(f"/proc/{pid}/status").read_text():
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("wait", WAITS)
def test_the_wait_ends_and_the_pool_goes_on(host: Host, gates: Gates, wait: str) -> None:
    process = host.start_script(
        f"""
import snakepit
args = {{"release": {gates("never")!r}}}
if {wait!r} != "stream":
    args["started"] = {gates("s")!r}
with snakepit.Pool("pool.adapters:Basic", size=1, grace=0.3) as pool:
    pool.await_ready(60)
    print("waits", flush=True)
    try:
        {WAITS[wait]}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    if {wait!r} == "wait":
        raise SystemExit  # The call is not the wait's; leaving the block cancels it.
    print(pool.execute("ping", timeout=60), flush=True)
"""
    )
    assert process.stdout.readline() == "waits\n"
    if wait != "stream":
        gates.wait("s")
    sent = interrupt(process)
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - sent < 5, "far more than the promised 100 ms, for slow machines"
    out, err = process.communicate(timeout=60)
    assert err == ""
    assert out == ("" if wait == "wait" else "pong\n")
    assert process.returncode == 0


def test_leaving_the_block_ends_the_program(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit
with snakepit.Pool("pool.adapters:Basic", size=2, grace=0.5, drain_timeout=1000) as pool:
    pool.submit("hold", {{"release": {gates("never")!r}, "started": {gates("other")!r}}})
    pool.execute("hold", {{"release": {gates("never")!r}, "started": {gates("s")!r}}})
"""
    )
    gates.wait("s")
    gates.wait("other")
    sent = interrupt(process)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 15
    assert process.returncode in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in err


def test_a_second_ctrl_c_does_not_wait_for_the_grace(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit
try:
    with snakepit.Pool("pool.adapters:Basic", size=1, grace=300) as pool:
        try:
            pool.execute("hold", {{"release": {gates("never")!r}, "started": {gates("s")!r}}})
        finally:
            print("leaving", flush=True)
finally:
    print("left", flush=True)
"""
    )
    gates.wait("s")
    interrupt(process)
    assert process.stdout.readline() == "leaving\n"
    sent = interrupt(process)
    assert process.stdout.readline() == "left\n"
    assert time.monotonic() - sent < 10
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130)


def test_asyncio(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import asyncio, snakepit
async def main():
    async with snakepit.AsyncPool("pool.adapters:Basic", size=1, grace=0.3) as pool:
        await pool.execute("hold", {{"release": {gates("never")!r}, "started": {gates("s")!r}}})
asyncio.run(main())
"""
    )
    gates.wait("s")
    sent = interrupt(process)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 15
    assert process.returncode in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in err


def test_workers_do_not_see_it(host: Host, gates: Gates) -> None:
    """The terminal sends SIGINT to the whole group; the host alone decides what it means."""
    process = host.start_script(
        f"""
import os, signal, time, snakepit
os.setpgid(0, 0)  # Not the group of the tests.
signal.signal(signal.SIGINT, lambda *_: print("noted", flush=True))
with snakepit.Pool("pool.adapters:Basic", size=1) as pool:
    call = pool.submit("hold", {{"release": {gates("go")!r}, "started": {gates("s")!r}}})
    while not os.path.exists({gates("s")!r}):
        time.sleep(0.01)
    os.killpg(0, signal.SIGINT)
    open({gates("go")!r}, "x").close()
    print(call.result(60) > 0, pool.stats().worker_deaths, flush=True)
"""
    )
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err) == (["noted", "True 0"], "")
