"""The machine has nothing left for another worker: those that are there serve on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Host

HEAD = """
import ctypes, os, resource, signal, struct, sys, time
import snakepit
from snakepit import StartError

def until(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.005)

def soft(kind, value):
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))

def make_pool(**options):
    options = {"size": 2, "start_timeout": 20, "max_failed_starts": 3, "degraded_retry": 0.1,
               "grace": 0.3, **options}
    pool = snakepit.Pool("pool.adapters:Basic", **options)
    pool.await_ready(60)
    pool.stats(), pool.health()  # So that what they need is imported.
    return pool

def kill(pool, slot):
    worker = pool.list_workers()[slot]
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: pool.stats().ready < pool.size, "it is gone")

def start_error(pool, slot=0):
    until(lambda: pool.health().workers[slot].start_error, "the failure is told")
    return pool.health().workers[slot].start_error

def serve(pool, calls=50):
    assert [pool.execute("ping") for _ in range(calls)] == ["pong"] * calls
    assert (pool.stats().errors, pool.stats().queued) == (0, 0)

def recovered(pool):
    until(lambda: pool.stats().ready == pool.size, "all are there again")
    serve(pool)
"""

# Root may have as many processes as it likes, and so may who has its capabilities. This one gives
# them up, and is somebody else for as long as it matters; threads that it starts are like it.
OBEY = """
def give_up_exemption():
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~(1 << 21 | 1 << 24)  # CAP_SYS_ADMIN, CAP_SYS_RESOURCE
    assert libc.capset(header, sets) == 0

def forbid_processes():
    if os.geteuid() == 0:
        os.setresuid(64999, 0, 0)
    soft(resource.RLIMIT_NPROC, 1)
    try:
        if os.fork() == 0:
            os._exit(0)
        os._exit(77)
    except BlockingIOError:
        return

def allow_processes():
    soft(resource.RLIMIT_NPROC, usual)
    if os.geteuid() == 0:
        os.setresuid(0, 0, 0)
"""


def test_no_more_processes(host: Host) -> None:
    code, out, err = host.run_script(
        HEAD
        + OBEY
        + """
give_up_exemption()
pool = make_pool()
usual = resource.getrlimit(resource.RLIMIT_NPROC)[0]
forbid_processes()
kill(pool, 0)
print(start_error(pool))
serve(pool)
kill(pool, 1)
start_error(pool, 1)
try:
    pool.execute("ping", timeout=30)
except StartError as error:
    print(error.shortage, error.may_have_run)
allow_processes()
until(lambda: pool.stats().ready == 2, "all are there again")
print(pool.execute("ping"))
pool.close()
"""
    )
    if code == 77:
        pytest.skip("nothing limits the number of this user's processes")
    assert code == 0, err
    told, raised, answer = out.splitlines()
    assert "this user may have 1 processes and threads (`ulimit -u`)" in told
    assert "CPython" not in told, "the interpreter is not to blame"
    assert (raised, answer) == ("processes False", "pong")


def test_no_more_open_files(host: Host) -> None:
    """Wherever a start finds the limit: at the page, the sockets, the pipes, the process."""
    code, out, err = host.run_script(
        HEAD
        + """
pool = make_pool()
usual = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

# The dead worker's descriptors are free again: from less than the host's own up to enough.
most = max(int(name) for name in os.listdir("/proc/self/fd")) + 8
for files in (3, 10, *range(most - 16, most, 4)):
    soft(resource.RLIMIT_NOFILE, files)
    kill(pool, 0)
    until(lambda: pool.stats().ready == 2 or pool.health().workers[0].start_error, "an outcome")
    if pool.stats().ready < 2:
        print(start_error(pool))
    serve(pool, 10)
    soft(resource.RLIMIT_NOFILE, usual)
    recovered(pool)
pool.close()
"""
    )
    assert code == 0, err
    assert len(out.splitlines()) >= 3
    for told in out.splitlines():
        assert "files open (`ulimit -n`); close some of them or raise the limit" in told


def test_no_more_room_in_files(host: Host) -> None:
    code, out, err = host.run_script(
        HEAD
        + """
usual = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
soft(resource.RLIMIT_FSIZE, 0)
try:
    snakepit.Pool("pool.adapters:Basic", size=1)
except StartError as error:
    print(error.shortage, error)
soft(resource.RLIMIT_FSIZE, usual)
pool = make_pool()
soft(resource.RLIMIT_FSIZE, 0)
kill(pool, 0)
print(start_error(pool))
serve(pool)
soft(resource.RLIMIT_FSIZE, usual)
recovered(pool)
pool.close()
"""
    )
    assert code == 0, err
    at_first, later = out.splitlines()
    assert at_first.startswith("file_size ")
    for told in (at_first, later):
        assert "files of 0 bytes (RLIMIT_FSIZE, `ulimit -f`); raise the limit" in told


# --- a full disk --------------------------------------------------------------------------------

FULL = """
def fill(folder):
    with open(folder + "/filler", "wb", buffering=0) as filler:  # else closing it raises again
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    try:
        for number in range(1000):
            os.mkdir(f"{folder}/{number}")
    except OSError:
        return number
"""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 64 KiB, mounted where a socket's path is short enough."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as place:
        options = ["-o", "size=64k,nr_inodes=16,mode=700"]
        try:
            command = ["mount", "-t", "tmpfs", *options, "tmpfs", place]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("needs the command mount")
        if made.returncode:
            pytest.skip(f"needs the right to mount a file system: {made.stderr.strip()}")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)


def test_a_full_run_folder_is_passed_over(host: Host, small_disk: Path) -> None:
    code, out, err = host.run_script(
        HEAD
        + FULL
        + f"""
os.environ["XDG_RUNTIME_DIR"] = {str(small_disk)!r}
made = fill(os.environ["XDG_RUNTIME_DIR"])
before = os.listdir(os.environ["XDG_RUNTIME_DIR"])
pool = make_pool()
serve(pool)
kill(pool, 0)
recovered(pool)
pool.close()
assert os.listdir(os.environ["XDG_RUNTIME_DIR"]) == before
print(made)
"""
    )
    assert code == 0, err
    assert int(out) > 0


def test_a_run_folder_that_becomes_full_costs_no_worker(host: Host, small_disk: Path) -> None:
    code, out, err = host.run_script(
        HEAD
        + FULL
        + f"""
folder = os.environ["XDG_RUNTIME_DIR"] = {str(small_disk)!r}
pool = make_pool()
assert any(name.startswith("snakepit-") for name in os.listdir(folder))
made = fill(folder)
for slot in (0, 1):
    kill(pool, slot)
    recovered(pool)
try:
    snakepit.Pool("pool.adapters:Basic", size=1, name="second")
except StartError as error:
    print(error.shortage, error.reason)
for number in range(made):
    os.rmdir(f"{{folder}}/{{number}}")
os.remove(folder + "/filler")
second = make_pool(name="second")
serve(second)
second.close()
serve(pool)
pool.close()
assert os.listdir(folder) == []
"""
    )
    assert code == 0, err
    assert out.startswith("space cannot listen for workers: ")
    assert "free some space, or name a folder that has some by XDG_RUNTIME_DIR" in out
