"""Programs that own a pool, to be killed, stopped or interrupted: ``python -m faults.hosts NAME``.

What a program has to say it writes as JSON, one line at a time; a line on its standard input lets
it go on. `Host` runs one.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

TESTS = Path(__file__).resolve().parents[1]
FAULTY = "faults.adapters:Faulty"


class Host:
    """One program under way."""

    def __init__(self, name: str, **arguments: Any) -> None:
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "faults.hosts", name, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Signals to its group are its own.
        )
        self.pid = self.process.pid

    def hear(self) -> Any:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the host ended with {self.process.wait()} and said nothing")
        return json.loads(line)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n")
        self.process.stdin.flush()

    def end(self, seconds: float = 60.0) -> int:
        """Wait for its end; its exit status."""
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def gates() -> Iterator[Path]:
    """A folder for the files through which a program and its tools meet."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        yield Path(folder)


# --- the programs ---------------------------------------------------------------------------------


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


def busy(tool: str, size: int, fill: int, folder: str, **options: Any) -> None:
    """Every worker has a family, so many MiB of memory, and a call that does not end."""
    import snakepit

    pool = snakepit.Pool(FAULTY, size=size, **options)
    pool.await_ready(60)
    # One session a worker: else one worker might get it all.
    sessions = [pool.session(f"s{number}") for number in range(size)]
    homes = {session.execute("pid"): session for session in sessions}
    children = [pid for session in homes.values() for pid in session.execute("family")]
    for session in homes.values():
        session.execute("fill", {"mebibytes": fill}, timeout=120)
    started = [os.path.join(folder, str(number)) for number in range(len(homes))]
    for session, file in zip(homes.values(), started, strict=True):
        session.submit(tool, {"started": file}, timeout=None)
    while not all(map(os.path.exists, started)):
        time.sleep(0.001)
    say({"workers": [*homes], "children": children})
    threading.Event().wait()


def drains(short: int, **options: Any) -> None:
    """Short calls and long ones; every acknowledged result is written down at once."""
    import snakepit

    pool = snakepit.Pool(FAULTY, size=2, **options)
    pool.await_ready(60)
    long = pool.submit("hold", {}, timeout=None)
    calls = [pool.submit("work", {"seconds": 0.05}) for _ in range(short)]
    for call in calls:
        call.add_done_callback(lambda done: say("lost" if done.exception() else "done"))
    long.add_done_callback(lambda done: say("ended"))
    say({"workers": [worker.pid for worker in pool.list_workers()]})
    threading.Event().wait()


def interrupted(**options: Any) -> None:
    """Ctrl-C leaves the block; then another one may come."""
    with contextlib.suppress(KeyboardInterrupt):
        _interrupted(**options)
    sys.exit(128 + signal.SIGINT)


def _interrupted(**options: Any) -> None:
    import snakepit

    with snakepit.Pool(FAULTY, size=2, **options) as pool:
        pool.await_ready(60)
        calls = [pool.submit("ignore_sigterm", {}, timeout=None) for _ in range(2)]
        while pool.stats().running < 2:
            time.sleep(0.001)
        try:
            say({"workers": [worker.pid for worker in pool.list_workers()]})
            calls[0].result()
        except KeyboardInterrupt:
            say("leaving")
            raise


def waits(**options: Any) -> None:
    """Serves before a line comes in, and after; says how many workers were replaced."""
    import snakepit

    with snakepit.Pool(FAULTY, size=2, **options) as pool:
        pool.await_ready(60)
        pids = [worker.pid for worker in pool.list_workers()]
        shims = [int(Path(f"/proc/{pid}/stat").read_text().split()[3]) for pid in pids]
        held = pool.submit("work", {"seconds": 0.5}, timeout=None)
        say({"workers": pids, "shims": shims, "family": pool.execute("family")})
        sys.stdin.readline()
        answers = [pool.execute("pid", timeout=60) for _ in range(50)]
        say(
            {
                "restarts": pool.stats().restarts,
                "strangers": len({*answers, held.result(60)} - {*pids}),
            }
        )


def starves(group: str, folder: str, rounds: int) -> None:
    """In a small control group for memory; says how often it was told which cause."""
    import snakepit

    Path(group, "cgroup.procs").write_text(str(os.getpid()))
    told: collections.Counter[str] = collections.Counter()
    with snakepit.Pool(FAULTY, size=1, worker_output="drop") as pool:
        for _ in range(rounds):
            pid = pool.execute("pid", timeout=60)
            try:
                pool.execute("allocate_above_limit")
            except MemoryError:
                told["memory_error"] += pool.execute("pid") == pid
            told[pool.submit("eat_memory").exception(60).cause] += 1
            pid = pool.execute("pid", timeout=60)
            started = f"{folder}/{pid}"
            call = pool.submit("hold", {"started": started})
            while not os.path.exists(started):  # Killed before it begins, it would begin again.
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            told[call.exception(60).cause] += 1
    say(told)


PROGRAMS = {program.__name__: program for program in (busy, drains, interrupted, waits, starves)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](**json.loads(sys.argv[2]))
