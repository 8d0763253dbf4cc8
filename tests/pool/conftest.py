"""Pools over real workers, and the promise that nothing is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import control_groups
import pytest
from line.ends import OWN_ENDS, params, worker

# The tests of the face put a fake in its place where it was never built; that has no file.
try:
    from snakepit import _core

    if not os.path.exists(_core.__file__):
        collect_ignore_glob = ["test_*.py"]
except ImportError:
    collect_ignore_glob = ["test_*.py"]

TESTS = Path(__file__).parent.parent
BASIC = "pool.adapters:Basic"

# In the environment of every process that these tests start, directly or through workers. A name
# with SNAKEPIT_ would not pass.
RUN = uuid.uuid4().hex
os.environ["SNAKES_OF_THIS_RUN"] = RUN
MARK = f"SNAKES_OF_THIS_RUN={RUN}".encode()


def marked_processes() -> list[str]:
    """Every process of this run, as text; and what this process has not reaped."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            unreaped = state == "Z" and int(parent) == os.getpid()
            # A zombie has no environment any more; some kernels refuse to read it.
            if not unreaped and MARK not in (process / "environ").read_bytes().split(b"\0"):
                continue
            command = b"" if unreaped else (process / "cmdline").read_bytes()
        except OSError:
            continue
        text = command.replace(b"\0", b" ").decode(errors="replace")
        # Not its state: one that was there before is the same one when it sleeps.
        what = "zombie, " if state == "Z" else ""
        found.append(f"{process.name} ({what}parent {parent}): {text}")
    return found


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait until ``condition`` holds, and return what it gave."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.005)
    return value


@pytest.fixture(autouse=True, scope="session")
def groups_of_our_own() -> Iterator[None]:
    with control_groups.apart():
        yield


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test ends with "no process of ours is left"."""
    before = _all_that_may_be_left()  # Another test's, which has been told.
    yield
    end = time.monotonic() + 15
    while (left := _all_that_may_be_left() - before) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left, "processes or control groups are left:\n" + "\n".join(sorted(left))


def _all_that_may_be_left() -> set[str]:
    return {*marked_processes(), *control_groups.of_workers()}


@pytest.fixture
def make_pool(nothing_left: None) -> Iterator[Callable[..., Any]]:
    """Makes pools with short times; they are closed with the test."""
    import snakepit

    pools: list[Any] = []

    def make(adapter: Any = BASIC, **options: Any) -> Any:
        options = {"size": 2, "grace": 0.3, "start_timeout": 60.0, **options}
        pools.append(snakepit.Pool(adapter, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(drain=0)


@pytest.fixture
def pool(make_pool: Callable[..., Any]) -> Any:
    """Two ready workers with the adapter ``Basic``."""
    pool = make_pool()
    pool.await_ready(60)
    return pool


@pytest.fixture(params=params(OWN_ENDS))
def own_line(request: pytest.FixtureRequest) -> str:
    """The end of the line that the workers have: each one that this interpreter can have."""
    worker(*request.param)  # skips where it cannot be had
    return str(request.param[0])


@pytest.fixture
def make_calling_back(make_pool: Callable[..., Any], own_line: str) -> Callable[..., Any]:
    """Makes ready pools whose adapter calls host tools, over both ends of the line."""

    def make(**options: Any) -> Any:
        pool = make_pool("pool.calling_back:CallsBack", line=own_line, **{"size": 1, **options})
        pool.await_ready(60)  # Limits of time are of the calls, not of the start.
        return pool

    return make


class Gates:
    """Files through which a test and a tool meet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, name: str) -> str:
        return str(self._directory / name)

    def open(self, name: str) -> None:
        (self._directory / name).touch()

    def opened(self, name: str) -> bool:
        return (self._directory / name).exists()

    def wait(self, name: str) -> None:
        until(lambda: self.opened(name), f"{name} happens")


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    directory = tmp_path / "gates"
    directory.mkdir()
    return Gates(directory)


class Host:
    """Runs programs that own pools: a test cannot be interrupted, forked or killed itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[subprocess.Popen[str]] = []

    def write(self, source: str, name: str = "job.py") -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    def start(self, *arguments: str | Path, stdin: int = subprocess.DEVNULL) -> Any:
        environment = dict(os.environ)
        inherited = environment.get("PYTHONPATH", "").split(os.pathsep)
        path = [TESTS, *map(os.path.abspath, filter(None, inherited))]
        environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.directory,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str | Path, stdin: str | None = None, seconds: float = 60.0) -> Any:
        """Run a program to its end: (exit status, stdout, stderr)."""
        process = self.start(*arguments, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        out, err = process.communicate(stdin, timeout=seconds)
        return process.returncode, out, err

    def run_script(self, source: str, seconds: float = 60.0) -> Any:
        return self.run(self.write(source), seconds=seconds)

    def start_script(self, source: str) -> Any:
        return self.start(self.write(source))


@pytest.fixture
def host(tmp_path: Path, nothing_left: None) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for process in host.started:
        if process.poll() is None:
            process.kill()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            # A child of it holds its pipes; `nothing_left` will say which.
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
