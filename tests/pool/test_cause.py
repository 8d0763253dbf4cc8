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


def test_want_of_memory(host: Any, small_group: Path) -> None:
    code, out, err = host.run_script(
        f"""
import os, signal, snakepit
open({str(small_group / "cgroup.procs")!r}, "w").write(str(os.getpid()))
with snakepit.Pool({STUBBORN!r}, size=1) as pool:
    pool.await_ready(60)
    try:
        pool.execute("eat_memory")
    except snakepit.WorkerDied as error:
        print(error.cause, error.signal)
    pool.execute("ping")
    os.kill(pool.list_workers()[0].pid, signal.SIGKILL)
    try:
        pool.execute("crash")
    except snakepit.WorkerDied as error:
        print(error.cause.startswith("signal_"))
"""
    )
    assert (code, out.splitlines()) == (0, ["oom SIGKILL", "True"]), err
