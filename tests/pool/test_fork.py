"""A forked child owns no pool: it is told so, and takes nothing with it."""

from __future__ import annotations

import os
import signal

from .conftest import Gates, Host, until

HEAD = """
import os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import snakepit

def in_child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
            sys.stdout.flush()
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_every_use_in_the_child_is_refused(host: Host) -> None:
    code, out, err = host.run_script(
        HEAD
        + """
with snakepit.Pool("pool.adapters:Basic", size=1) as pool:
    pool.execute("ping")
    def child():
        for use in (
            lambda: pool.execute("ping"),
            lambda: pool.submit("ping"),
            lambda: pool.execute_stream("count", {"upto": 3}),
            lambda: pool.await_ready(1),
            lambda: pool.session("u").execute("ping"),
        ):
            try:
                use()
            except snakepit.ForkedPool as error:
                print("refused", error.may_have_run)
            else:
                print("accepted")
    in_child(child)
    print(pool.execute("ping"))
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["refused False"] * 5 + ["pong"]


def test_a_child_that_ends_as_programs_do_harms_nothing(host: Host) -> None:
    code, out, err = host.run_script(
        HEAD
        + """
with snakepit.Pool("pool.adapters:Basic", size=1) as pool:
    before = pool.execute("pid")
    pid = os.fork()
    if pid == 0:
        sys.exit(0)  # Leaves the block, runs atexit, drops the pool.
    assert os.waitpid(pid, 0)[1] == 0
    assert pool.execute("pid") == before
    print("same worker")
"""
    )
    assert (code, out, err) == (0, "same worker\n", "")


def test_a_child_may_make_its_own_pool(host: Host) -> None:
    code, out, err = host.run_script(
        HEAD
        + """
with snakepit.Pool("pool.adapters:Basic", size=1) as pool:
    pool.execute("ping")
    def child():
        with snakepit.Pool("pool.adapters:Basic", size=1) as own:
            print("child", own.execute("ping"))
    in_child(child)
    print("parent", pool.execute("ping"))
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["child pong", "parent pong"]


def test_a_surviving_child_does_not_keep_the_workers_alive(host: Host) -> None:
    process = host.start_script(
        HEAD
        + """
pool = snakepit.Pool("pool.adapters:Basic", size=2)
pool.await_ready(60)
pid = os.fork()
if pid == 0:
    signal.pause()
print(*[worker.pid for worker in pool.list_workers()], pid, flush=True)
os.kill(os.getpid(), 9)
"""
    )
    *workers, child = map(int, process.stdout.readline().split())

    def alive(pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    until(lambda: not any(map(alive, workers)), "the workers are gone", seconds=10)
    if alive(child):
        os.kill(child, signal.SIGKILL)


def test_looking_at_the_pool_in_the_child_does_not_hang(host: Host, gates: Gates) -> None:
    code, out, err = host.run_script(
        HEAD
        + f"""
with snakepit.Pool("pool.adapters:Basic", size=1, grace=0.3) as pool:
    args = {{"started": {gates("s")!r}, "release": {gates("go")!r}}}
    future = pool.submit("hold", args)
    while not os.path.exists({gates("s")!r}):
        pass
    ref = pool.list_workers()[0].ref
    def child():
        signal.alarm(20)
        for use in (pool.stats, pool.list_workers, lambda: pool.recycle(ref)):
            try:
                use()
            except snakepit.ForkedPool:
                pass
        print("running", future.running())
    in_child(child)
    assert future.running()
    open({gates("go")!r}, "x").close()
    print("parent", future.result(30) > 0)
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == ["running False", "parent True"]


def test_a_child_of_a_host_that_logs_ends(host: Host, gates: Gates) -> None:
    code, out, err = host.run_script(
        HEAD
        + f"""
import logging
logger = logging.getLogger("snakepit.worker")
logger.addHandler(logging.NullHandler())
logger.propagate = False
with snakepit.Pool("pool.adapters:Basic", size=1, grace=0.3, worker_output="log") as pool:
    args = {{"started": {gates("s")!r}, "release": {gates("go")!r}}}
    future = pool.submit("chatter", args)
    while not os.path.exists({gates("s")!r}):
        pass
    for _ in range(30):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            sys.exit(0)  # Leaves the block, runs atexit.
        status = os.waitpid(pid, 0)[1]
        assert status == 0, f"the child hung: {{status}}"
    open({gates("go")!r}, "x").close()
    print(future.result(30))
"""
    )
    assert (code, out, err) == (0, "None\n", "")
