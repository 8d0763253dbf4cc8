"""What a worker may take of the machine, and which device is its own."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, Limits, Recycle, RemoteError, WorkerDied

from .conftest import Host, until

LIMITED = "pool.limited:Limited"
GIB = 1024**3
OWN = {"SNAKEPIT_RUN", "SNAKEPIT_LIMITS"}  # and SNAKEPIT_GROUP, where there are groups
ENDS = pytest.mark.parametrize("line", ["native", "grpcio"])

MakePool = Callable[..., Any]


def limits_of(process: int | str) -> dict[str, tuple[str, str]]:
    """Soft and hard limits as the kernel tells them."""
    return read_limits(Path(f"/proc/{process}/limits").read_text())


def read_limits(text: str) -> dict[str, tuple[str, str]]:
    lines = (line[:26].rstrip() + "\0" + line[26:] for line in text.splitlines()[1:])
    apart = (line.partition("\0") for line in lines)
    return {name: (rest.split()[0], rest.split()[1]) for name, _, rest in apart}


def status_of(process: int | str) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


def niceness_of(process: int | str) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[16])


def score_of(process: int | str) -> int:
    return int(Path(f"/proc/{process}/oom_score_adj").read_text())


def worker_of(pool: Any) -> int:
    pid = until(lambda: pool.list_workers()[0].pid, "its process is there")
    return int(pid)


@ENDS
def test_a_worker_has_the_limits_of_its_pool_and_its_shim_has_not(
    make_pool: MakePool, line: str, tmp_path: Path
) -> None:
    limits = Limits(nice=3, address_space=3 * GIB, open_files=300, umask=0o027)
    pool = make_pool(LIMITED, size=1, line=line, limits=limits)
    assert pool.execute("ping") == "pong"
    worker = worker_of(pool)
    shim = status_of(worker)["PPid"]

    told = limits_of(worker)
    assert told["Max address space"] == (str(3 * GIB), str(3 * GIB))
    assert told["Max open files"] == ("300", "300")
    assert told["Max core file size"][0] == "0"
    assert (status_of(worker)["NoNewPrivs"], status_of(worker)["Umask"]) == ("1", "0027")
    own = niceness_of("self")
    assert niceness_of(worker) == min(own + 3, 19)
    assert score_of(worker) == min(score_of("self") + 500, 1000)
    assert pool.execute("new_file", {"path": str(tmp_path / "new")}) == 0o640
    inherited = read_limits(pool.execute("childs_limits"))
    assert inherited["Max open files"] == ("300", "300")

    assert limits_of(shim)["Max address space"] == limits_of("self")["Max address space"]
    assert limits_of(shim)["Max open files"] == limits_of("self")["Max open files"]
    assert (niceness_of(shim), score_of(shim)) == (own, score_of("self"))


@ENDS
def test_what_nobody_asked_for_is_as_in_the_host(make_pool: MakePool, line: str) -> None:
    pool = make_pool(LIMITED, size=1, line=line)
    assert pool.execute("ping") == "pong"
    worker = worker_of(pool)
    ours = limits_of("self")
    told = limits_of(worker)
    assert told.pop("Max core file size") == ("0", ours.pop("Max core file size")[1])
    assert told == ours
    assert status_of(worker)["NoNewPrivs"] == "1", "it cannot outgrow who has to end it"
    assert status_of(worker)["Umask"] == status_of("self")["Umask"]
    assert niceness_of(worker) == niceness_of("self")


@ENDS
def test_everything_can_be_left_to_the_worker(make_pool: MakePool, line: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    free = Limits(no_new_privs=False, oom_score=0, core_files=most != 0)
    pool = make_pool(LIMITED, size=1, line=line, limits=free)
    assert pool.execute("ping") == "pong"
    worker = worker_of(pool)
    ours = status_of("self")["NoNewPrivs"]
    assert (status_of(worker)["NoNewPrivs"], score_of(worker)) == (ours, score_of("self"))
    soft, hard = limits_of(worker)["Max core file size"]
    assert soft == hard


@ENDS
def test_a_program_has_them_before_it_runs(make_pool: MakePool, line: str) -> None:
    # It says nothing to anybody; its process is there as long as it may take to start.
    program = snakepit.Program("sleep", "60")
    limits = {"open_files": 100, "nice": 1, "address_space": GIB}
    os.environ["SNAKEPIT_LINE"] = line
    try:
        pool = make_pool(program, size=1, limits=limits, env={"GPU": "{slot}"})
    finally:
        del os.environ["SNAKEPIT_LINE"]
    worker = worker_of(pool)
    until(lambda: status_of(worker)["Name"] == "sleep", "it is executed")
    assert limits_of(worker)["Max open files"] == ("100", "100")
    assert limits_of(worker)["Max address space"] == (str(GIB), str(GIB))
    assert (status_of(worker)["NoNewPrivs"], niceness_of(worker)) == (
        "1",
        min(niceness_of("self") + 1, 19),
    )
    assert b"GPU=0\0" in Path(f"/proc/{worker}/environ").read_bytes()


@ENDS
def test_too_much_memory_is_an_exception_of_the_call(make_pool: MakePool, line: str) -> None:
    pool = make_pool(LIMITED, size=1, line=line, limits=Limits(address_space=GIB))
    worker = pool.execute("pid")
    for _ in range(3):
        with pytest.raises(MemoryError) as caught:
            pool.execute("make", {"mib": 1024})
        assert isinstance(caught.value, RemoteError)
        assert caught.value.type_name == "MemoryError"
    assert pool.execute("make", {"mib": 100}) == 100 * 1024 * 1024
    assert pool.execute("pid") == worker
    assert pool.stats().worker_deaths == 0


@ENDS
def test_the_least_address_space_is_enough_to_serve(make_pool: MakePool, line: str) -> None:
    pool = make_pool(LIMITED, size=1, line=line, limits=Limits(address_space=GIB // 4))
    assert pool.execute("ping") == "pong"
    with pytest.raises(MemoryError):
        pool.execute("make", {"mib": 256})
    assert pool.execute("ping") == "pong"


def test_a_small_address_space_is_not_filled_by_the_arenas_of_malloc(make_pool: MakePool) -> None:
    names = {"names": ["MALLOC_ARENA_MAX"]}
    limited = {"size": 1, "limits": Limits(address_space=3 * GIB // 4)}
    assert make_pool(LIMITED, **limited).execute("environment", names) == ["3"]
    own = make_pool(LIMITED, **limited, env={"MALLOC_ARENA_MAX": "7"})
    assert own.execute("environment", names) == ["7"]
    assert make_pool(LIMITED, size=1).execute("environment", names) == [
        os.environ.get("MALLOC_ARENA_MAX")
    ]


@ENDS
def test_too_many_files_are_an_exception_of_the_call(make_pool: MakePool, line: str) -> None:
    pool = make_pool(LIMITED, size=1, line=line, limits=Limits(open_files=64))
    worker = pool.execute("pid")
    for _ in range(3):
        with pytest.raises(OSError, match="Too many open files") as caught:
            pool.execute("open_all")
        assert isinstance(caught.value, RemoteError)
        assert ", in open_all" in str(caught.value.remote_traceback)
        # What it opened is open still: not one descriptor is left for the worker.
        assert pool.execute("open_files") > 30
    assert [pool.execute("ping") for _ in range(20)] == ["pong"] * 20
    with pytest.raises(snakepit.ToolNotFound):
        pool.execute("pnig")
    pool.execute("let_go")
    assert (pool.execute("open_files"), pool.execute("pid")) == (0, worker)


def test_a_death_by_a_limit_of_its_own_is_named(make_pool: MakePool) -> None:
    pool = make_pool(LIMITED, size=1)
    with pytest.raises(WorkerDied) as caught:
        pool.execute("use_up_its_processor_time", timeout=60)
    assert (caught.value.signal, caught.value.cause) == ("SIGXCPU", "signal_24")


def test_more_than_this_process_may_give_is_refused(make_pool: MakePool) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(ConfigError, match=r"open_files of .*hard limit.*ulimit -Hn") as caught:
        make_pool(limits=Limits(open_files=hard + 1))
    assert caught.value.field == "limits"


def test_core_files_that_this_process_may_not_give_are_refused(host: Host) -> None:
    code, out, err = host.run_script(
        "import resource, snakepit\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "try:\n"
        "    snakepit.Pool('pool.limited:Limited', size=1, limits={'core_files': True})\n"
        "except snakepit.ConfigError as error:\n"
        "    print(error.field, error)\n"
        "with snakepit.Pool('pool.limited:Limited', size=1) as pool:\n"
        "    print(pool.execute('ping'))\n"
    )
    assert (code, err) == (0, "")
    refused, served = out.splitlines()
    assert refused.startswith("limits "), refused
    assert "ulimit -Hc" in refused
    assert served == "pong"


# --- devices ------------------------------------------------------------------------------------


def devices(pool: Any) -> dict[int, str]:
    """The device of each slot, as its worker says; all must be ready."""
    found: dict[int, str] = {}
    until(lambda: pool.stats().ready == pool.size, "all are ready")
    by_pid = {worker.pid: worker.ref.slot for worker in pool.list_workers()}
    while len(found) < pool.size:
        calls = [pool.submit("device") for _ in range(pool.size)]
        for pid, device in (call.result(30) for call in calls):
            if pid in by_pid:
                assert found.setdefault(by_pid[pid], device) == device
    return found


@ENDS
def test_each_slot_keeps_its_device(make_pool: MakePool, line: str) -> None:
    env = {"CUDA_VISIBLE_DEVICES": "{slot}"}
    pool = make_pool("pool.devices:Device", size=3, line=line, env=env, recycle=Recycle())
    assert devices(pool) == {0: "0", 1: "1", 2: "2"}

    killed = pool.list_workers()[1]
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: pool.list_workers()[1].ref.generation > killed.ref.generation, "another one")
    assert devices(pool) == {0: "0", 1: "1", 2: "2"}

    for slot in (2, 0):
        old = pool.list_workers()[slot]
        pool.recycle(old.ref)
        until(lambda old=old, slot=slot: replaced(pool, slot, old), "it is replaced")
        assert devices(pool) == {0: "0", 1: "1", 2: "2"}
    assert pool.stats().errors == 0


def replaced(pool: Any, slot: int, old: Any) -> bool:
    return bool(pool.list_workers()[slot].ref.generation > old.ref.generation)


def test_devices_are_shared_out_in_turn(make_pool: MakePool) -> None:
    env = ("strict", {"CUDA_VISIBLE_DEVICES": ["GPU-a", "GPU-b"]})
    pool = make_pool("pool.devices:Device", size=3, env=env, pythonpath=[])
    assert devices(pool) == {0: "GPU-a", 1: "GPU-b", 2: "GPU-a"}


@pytest.mark.parametrize("name", ["SNAKEPIT_LIMITS", "SNAKEPIT_RUN", "SNAKEPIT_OF_MINE"])
@pytest.mark.parametrize("value", ["a", "{slot}", ["a", "b"], None])
def test_no_variable_can_undo_them(make_pool: MakePool, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .* leave it out") as caught:
        make_pool(LIMITED, size=1, env={name: value})
    assert caught.value.field == "env"


@ENDS
def test_of_the_hosts_own_variables_workers_get_those_that_tell_them_something(
    make_pool: MakePool, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAKEPIT_SETTING", "x")
    pool = make_pool(LIMITED, size=1, line=line)
    assert pool.execute("ping") == "pong"
    variables = Path(f"/proc/{worker_of(pool)}/environ").read_bytes().split(b"\0")
    names = [variable.partition(b"=")[0] for variable in variables]
    own = {name.decode() for name in names if name.startswith(b"SNAKEPIT_")}
    assert own >= OWN >= own - {"SNAKEPIT_GROUP"}
    assert len(names) == len(set(names)), "none is there twice"
