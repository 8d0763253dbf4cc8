"""Large values while things go wrong: no crash, nothing torn, nothing kept."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

np = pytest.importorskip("numpy")

import snakepit  # noqa: E402
from pool.conftest import Host, until  # noqa: E402

DATA = "pool.data_adapters:Data"
MIB = 1 << 20


def unused(pool: Any) -> bool:
    gc.collect()
    # What a worker that is gone had borrowed is counted back when somebody looks.
    pool.put(np.zeros(MIB // 8)).close()
    stats = pool.stats().shared_memory
    return bool(stats.in_use == 0)


def test_workers_killed_at_any_moment_leave_no_memory(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1, grace=0.3)
    array = np.arange(MIB, dtype="f8")
    pool.execute("echo", {"value": array})
    seed = random.randrange(1 << 30)
    moments = random.Random(seed)
    died = 0
    for _ in range(25):
        future = pool.submit("echo", {"value": array})
        time.sleep(moments.random() * 0.02)
        (worker,) = pool.list_workers()
        if worker.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        try:
            assert np.array_equal(future.result(60), array), f"torn; seed {seed}"
        except snakepit.WorkerDied:
            died += 1
        pool.await_ready(60)
    assert np.array_equal(pool.execute("echo", {"value": array}), array)
    assert pool.stats().worker_deaths >= died
    until(lambda: unused(pool), "nothing is in use")


def test_a_host_that_is_killed_takes_workers_along_that_hold_its_memory(host: Host) -> None:
    process = host.start_script(
        """
import os, signal
import numpy as np
import snakepit

pool = snakepit.Pool("pool.data_adapters:Data", size=2)
array = np.ones(1 << 20)
for _ in range(6):
    pool.execute("keep", {"value": array})
kept = pool.execute("make", {"length": 1 << 20})
print(*[worker.pid for worker in pool.list_workers()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    until(lambda: not any(map(alive, workers)), "the workers are gone", seconds=15)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_forked_child_gives_nothing_back(make_pool: Any) -> None:
    pool = make_pool(DATA, size=1)
    held = pool.execute("make", {"length": MIB})
    pid = os.fork()
    if pid == 0:
        del held
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    for _ in range(5):  # These would be written over it.
        pool.execute("born", {"length": MIB})
    assert np.array_equal(held, np.arange(float(MIB)))


def test_a_host_without_descriptors_gets_the_bytes(host: Host) -> None:
    code, out, err = host.run_script(
        """
import os, resource
import numpy as np
import snakepit

with snakepit.Pool("pool.data_adapters:Data", size=1) as pool:
    pool.execute("total", {"array": np.ones(8)})
    most = max(map(int, os.listdir("/proc/self/fd")))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1, hard))
    taken = []
    while True:  # So that there is none left.
        try:
            taken.append(os.dup(0))
        except OSError:
            break
    print(float(pool.execute("make", {"length": 1 << 20}).sum()))
    print(pool.execute("total", {"array": np.ones(1 << 20)}))
    for fd in taken:
        os.close(fd)
    stats = pool.stats().shared_memory
    print(stats.faults > 0)
"""
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(float(sum(range(1 << 20)))), "1048576.0", "True"]


@pytest.mark.parametrize("profile", ["thread", "async"])
def test_calls_that_overlap_do_not_mix_their_memory(make_pool: Any, profile: str) -> None:
    adapter = "pool.data_adapters:SharedData"
    capacity = {"thread": {"threads_per_worker": 4}, "async": {"max_in_flight": 4}}[profile]
    pool = make_pool(adapter, size=2, profile=profile, **capacity)

    def there_and_back(number: int) -> bool:
        array = np.full(MIB // 4 + number, float(number))
        return bool(np.array_equal(pool.execute("echo", {"value": array}), array))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(200)))
    until(lambda: unused(pool), "nothing is in use")
