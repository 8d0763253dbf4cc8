"""Why a worker ended, as one word."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakepit import WorkerDied

from .conftest import Gates, until

STUBBORN = "pool.stubborn:Stubborn"


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("3", "exit_3"),
        ("0", "exit_0"),
        ("SIGTERM", "signal_15"),
        ("SIGKILL", "signal_9"),
    ],
)
def test_it_ended_by_itself(pool: Any, how: str, cause: str) -> None:
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": how})
    assert caught.value.cause == cause
    assert caught.value.stack is None


def test_killed_by_somebody_is_no_want_of_memory(pool: Any, gates: Gates) -> None:
    call = pool.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    os.kill(next(w.pid for w in pool.list_workers() if w.state == "busy"), signal.SIGKILL)
    error = call.exception(30)
    assert isinstance(error, WorkerDied)
    assert (error.cause, error.signal) == ("signal_9", "SIGKILL")


def test_stderr_is_bounded(make_pool: Any) -> None:
    pool = make_pool(size=1, worker_output="drop")
    pool.execute("say", {"text": "line\n" * 10_000, "stream": "stderr"})
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": "3"})
    assert caught.value.stderr is not None
    assert 3000 < len(caught.value.stderr) <= 4096
    assert caught.value.stderr.endswith("about to die by 3")


def _memory_group(name: str) -> tuple[Path, str]:
    """A fresh control group for memory, and the file with its limit."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a control group")
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / name
        with contextlib.suppress(OSError):
            group.mkdir()
            if (group / limit).exists():
                return group, limit
            group.rmdir()
    pytest.skip("no control group for memory can be made here")


@pytest.fixture
def small_group() -> Iterator[Path]:
    group, limit = _memory_group(f"snakepit-test-{os.getpid()}")
    try:
        (group / limit).write_text(str(96 << 20))
        with contextlib.suppress(OSError):  # Else it swaps, where there is swap.
            (group / "memory.swap.max").write_text("0")
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()


def in_small_group(group: Path, script: str) -> str:
    return f"""
import os, signal, snakepit, time
open({str(group / "cgroup.procs")!r}, "w").write(str(os.getpid()))

def cause_after_a_kill(pool, started):
    call = pool.submit("hold", {{"started": started, "release": "/never"}})
    while not os.path.exists(started):
        time.sleep(0.005)
    os.kill(pool.list_workers()[0].pid, signal.SIGKILL)
    return call.exception(60).cause

{script}
"""


def test_want_of_memory(host: Any, small_group: Path, gates: Gates) -> None:
    code, out, err = host.run_script(
        in_small_group(
            small_group,
            f"""
with snakepit.Pool({STUBBORN!r}, size=1) as pool:
    pool.await_ready(60)
    try:
        pool.execute("eat_memory")
    except snakepit.WorkerDied as error:
        print(error.cause, error.signal)
    pool.execute("ping", timeout=60)
    print(cause_after_a_kill(pool, {gates("one")!r}))
    print(pool.execute("have_a_child_eat", timeout=60))
    time.sleep(2.5)  # What is tested is that time passes, and then explains nothing.
    print(cause_after_a_kill(pool, {gates("two")!r}))
""",
        )
    )
    told = ["oom SIGKILL", "signal_9", "-9", "signal_9"]
    assert (code, out.splitlines()) == (0, told), err


def test_want_of_memory_at_the_start(host: Any, small_group: Path, gates: Gates) -> None:
    gates.open("eat")
    code, out, err = host.run_script(
        in_small_group(
            small_group,
            f"""
eater = "pool.stubborn:EatsAtStart"
arguments = {{"while_there_is": {gates("eat")!r}}}
options = {{"max_failed_starts": 1, "degraded_retry": 0.1, "adapter_args": arguments}}
with snakepit.Pool(eater, size=1, **options) as pool:
    try:
        pool.await_ready(60)
    except snakepit.StartError as error:
        print("out of memory" in str(error))
    os.unlink(arguments["while_there_is"])
    while True:
        try:
            pool.await_ready(60)
            break
        except snakepit.StartError:
            time.sleep(0.05)
    print(cause_after_a_kill(pool, {gates("one")!r}))
""",
        )
    )
    assert (code, out.splitlines()) == (0, ["True", "signal_9"]), err


def test_a_crash_of_another_program_is_not_the_workers(pool: Any) -> None:
    pool.execute("say", {"text": "Fatal Python error: Aborted\n", "stream": "stderr"})
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die", {"how": "SIGKILL"})
    assert caught.value.stack is None
