"""SIGTERM to a program with open pools, a second Ctrl-C, and a host that was stopped."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError

from .conftest import BASIC, Gates, Host, until


def hold(gates: Gates, started: str = "s", release: str = "go") -> str:
    return repr({"started": gates(started), "release": gates(release)})


def test_calls_under_way_may_end(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit, threading
def work():
    print("result", pool.execute("hold", {hold(gates)}) > 0, flush=True)
    try:
        pool.execute("ping")
    except snakepit.PoolClosed:
        print("closed", flush=True)
    open({gates("told")!r}, "x").close()
with snakepit.Pool({BASIC!r}, size=2) as pool:
    pool.await_ready(60)
    thread = threading.Thread(target=work)
    thread.start()
    pool.execute("hold", {{"started": {gates("main")!r}, "release": {gates("told")!r}}})
    print("never said")
"""
    )
    gates.wait("s")
    gates.wait("main")
    process.terminate()
    time.sleep(0.2)  # Too short is no failure: then it is as if the calls were quicker.
    assert process.poll() is None, "it waits for the calls"
    gates.open("go")
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err) == (["result True", "closed"], "")
    assert process.returncode == -signal.SIGTERM


def test_what_takes_longer_is_cancelled(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit, threading
pool = snakepit.Pool({BASIC!r}, size=2, drain_timeout=3, grace=0.2)
def work():
    print(pool.execute("hold", {hold(gates, "short", "go")}) > 0, flush=True)
thread = threading.Thread(target=work)
thread.start()
try:
    pool.execute("hold", {hold(gates, "s", "never")})
finally:
    print("never said")
"""
    )
    gates.wait("s")
    gates.wait("short")
    process.terminate()
    gates.open("go")
    out, _ = process.communicate(timeout=25)
    assert out == "True\n", "what is quick enough has its answer"
    assert process.returncode == -signal.SIGTERM


def test_a_second_signal_does_not_wait(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit, threading, time
pool = snakepit.Pool({BASIC!r}, size=1, drain_timeout=600)
pool.submit("hold", {hold(gates)})
def tell():
    while not pool.closed:
        time.sleep(0.005)
    print("closing", flush=True)
threading.Thread(target=tell, daemon=True).start()
while True:
    time.sleep(1)
"""
    )
    gates.wait("s")
    process.terminate()
    assert process.stdout.readline() == "closing\n"
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_program_with_its_own_handler_is_left_alone(host: Host, gates: Gates, when: str) -> None:
    handler = "signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))"
    process = host.start_script(
        f"""
import signal, snakepit
{handler if when == "before" else ""}
with snakepit.Pool({BASIC!r}, size=1) as pool:
    {handler if when == "after" else "pass"}
    print(pool.execute("hold", {hold(gates)}) > 0, flush=True)
print(signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None))
"""
    )
    gates.wait("s")
    process.terminate()
    assert process.stdout.readline() == "mine\n"
    gates.open("go")
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err, process.returncode) == (["True", "True"], "", 0)


def test_an_event_loop_with_a_handler_is_left_alone(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import asyncio, signal, snakepit
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print, "mine")
    async with snakepit.AsyncPool({BASIC!r}, size=1) as pool:
        print(await pool.execute("hold", {hold(gates)}) > 0)
asyncio.run(main())
"""
    )
    gates.wait("s")
    process.terminate()
    gates.open("go")
    out, err = process.communicate(timeout=60)
    assert (sorted(out.splitlines()), err, process.returncode) == (["True", "mine"], "", 0)


def test_an_event_loop_goes_on_meanwhile(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import asyncio, snakepit
async def main():
    async with snakepit.AsyncPool({BASIC!r}, size=1) as pool:
        call = asyncio.create_task(pool.execute("hold", {hold(gates)}))
        while not pool.closed:
            await asyncio.sleep(0.005)
        print("closing", flush=True)
        print(await call > 0, flush=True)
asyncio.run(main())
"""
    )
    gates.wait("s")
    process.terminate()
    assert process.stdout.readline() == "closing\n"
    gates.open("go")
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("True\n", "", -signal.SIGTERM)


def test_the_default_action_is_back_after_the_last_pool() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with snakepit.Pool(BASIC, size=1) as one:
        ours = signal.getsignal(signal.SIGTERM)
        assert callable(ours)
        with snakepit.Pool(BASIC, size=1, name="two"):
            assert signal.getsignal(signal.SIGTERM) is ours
        assert signal.getsignal(signal.SIGTERM) is ours
        one.await_ready(60)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_off_the_main_thread_nothing_is_installed(make_pool: Any) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            make_pool(size=1)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            with pytest.raises(ConfigError) as caught:
                make_pool(size=1, handle_sigterm=True)
            assert caught.value.field == "handle_sigterm"
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert failures == []


def test_it_can_be_demanded_or_refused(make_pool: Any) -> None:
    make_pool(size=1, handle_sigterm=False)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(ConfigError, match="handle_sigterm"):
        make_pool(size=1, handle_sigterm="always")
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(ConfigError, match="own handler"):
            make_pool(size=1, handle_sigterm=True)
    finally:
        signal.signal(signal.SIGTERM, previous)
    make_pool(size=1, handle_sigterm=True).close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_refused_it_ends_at_once_and_leaves_nothing(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit
pool = snakepit.Pool({BASIC!r}, size=1, handle_sigterm=False)
pool.execute("hold", {hold(gates)})
"""
    )
    gates.wait("s")
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


def test_a_forked_child_ends_by_it_before_python_is_set_up_there(host: Host, gates: Gates) -> None:
    # What Python has not yet taken note of it forgets in a child. So there the C library is made to
    # wait for a signal, before Python goes on.
    process = host.start_script(
        f"""
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
libc.__register_atfork(None, None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
signal.signal(signal.SIGUSR1, lambda *_: None)
import snakepit
with snakepit.Pool({BASIC!r}, size=1) as pool:
    call = pool.submit("hold", {hold(gates)})
    child = os.fork()
    if child == 0:
        time.sleep(600)
    os.kill(child, signal.SIGTERM)
    until = time.monotonic() + 10
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until:
        os.kill(child, signal.SIGUSR1)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL) if not ended[0] else None
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
    open({gates("go")!r}, "x").close()
    print(call.result(60) > 0)
"""
    )
    out, _ = process.communicate(timeout=60)
    assert out.splitlines() == ["-15", "True"]
    assert process.returncode == 0


def test_a_forked_child_ends_by_it_although_it_is_in_c(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import os, signal, snakepit, time
with snakepit.Pool({BASIC!r}, size=1) as pool:
    pool.execute("ping")
    child = os.fork()
    if child == 0:
        open({gates("child")!r}, "x").close()
        sum(range(10**12))
    while not os.path.exists({gates("child")!r}):
        time.sleep(0.005)
    os.kill(child, signal.SIGTERM)
    until = time.monotonic() + 10
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL) if not ended[0] else None
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
    print(pool.execute("ping"), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    )
    out, _ = process.communicate(timeout=60)
    assert out.splitlines() == ["-15", "pong False"], "the parent goes on as before"


def test_a_second_ctrl_c_in_an_event_loop(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import asyncio, snakepit
async def main():
    async with snakepit.AsyncPool({BASIC!r}, size=1, grace=300) as pool:
        try:
            await pool.execute("hold", {hold(gates)})
        finally:
            print("leaving", flush=True)
asyncio.run(main())
"""
    )
    gates.wait("s")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "leaving\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert time.monotonic() - begin < 5, "far less than the grace"
    assert process.returncode in (-signal.SIGINT, 130)


def test_a_host_that_was_stopped_restarts_nothing(host: Host, gates: Gates) -> None:
    process = host.start_script(
        f"""
import snakepit
with snakepit.Pool({BASIC!r}, size=2, grace=0.2, start_timeout=30) as pool:
    pool.await_ready(60)
    before = [worker.pid for worker in pool.list_workers()]
    call = pool.submit("hold", {hold(gates)}, timeout=None)
    print(call.result(60) > 0, pool.execute("ping", timeout=None))
    print(before == [worker.pid for worker in pool.list_workers()], pool.stats().restarts)
"""
    )
    gates.wait("s")
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)  # What is tested is that time passes and nothing comes of it.
    process.send_signal(signal.SIGCONT)
    gates.open("go")
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err) == (["True pong", "True 0"], "")


def test_waiting_is_over_when_the_process_is(host: Host) -> None:
    process = host.start_script(
        f"""
import snakepit
pool = snakepit.Pool({BASIC!r}, size=1)
pool.execute("ping")
print("idle", flush=True)
import time
time.sleep(600)
"""
    )
    assert process.stdout.readline() == "idle\n"
    process.terminate()
    until(lambda: process.poll() is not None, "it ends")
    assert process.returncode == -signal.SIGTERM
