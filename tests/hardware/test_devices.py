"""Devices of a pool: each worker sees its own alone, and finds out which it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError

PROGRAM = """
import os, sys, time
import snakepit
from snakepit_bridge import BaseAdapter, tool

NAMES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")

class Told(BaseAdapter):
    @tool
    def told(self):
        time.sleep(0.02)
        worker = self.worker
        return [worker.slot, worker.device, worker.torch_device, *map(os.environ.get, NAMES)]

    @tool
    def die(self):
        os._exit(3)

if __name__ == "__main__":
    size, line, *devices = sys.argv[1:]
    line = None if line == "-" else line
    with snakepit.Pool(Told, size=int(size), devices=devices, line=line) as pool:
        pool.await_ready()
        told = {}
        while len(told) < int(size):
            for answer in pool.map("told", [None] * 8):
                told[answer[0]] = answer[1:]
        for slot in sorted(told):
            print(*told[slot])
        devices = [worker.device for worker in pool.list_workers()]
        assert devices == [told[slot][0] for slot in sorted(told)], devices
        if int(size) == 1:
            try:
                pool.execute("die")
            except snakepit.WorkerDied:
                print(*pool.execute("told")[1:])
"""


@pytest.mark.parametrize("line", ["native", "grpcio"])
def test_slots_have_the_devices_in_turn(run: Any, driver: Path, line: str) -> None:
    mig = "MIG-00000000-0000-0000-0000-00000000000b"
    told = run(PROGRAM, "4", line, "cuda:0", mig, "cpu", LD_LIBRARY_PATH=driver)
    assert told.splitlines() == [
        "cuda:0 cuda:0 0 PCI_BUS_ID None None",
        f"{mig} cuda:0 {mig} PCI_BUS_ID None None",
        "cpu cpu -1 PCI_BUS_ID None None",
        "cuda:0 cuda:0 0 PCI_BUS_ID None None",
    ]


def test_what_this_process_calls_its_first_is_what_the_worker_gets(run: Any, driver: Path) -> None:
    uuid = "GPU-00000000-0000-0000-0000-000000000001"
    hosts = {"LD_LIBRARY_PATH": driver, "CUDA_VISIBLE_DEVICES": uuid}
    told = run(PROGRAM, "1", "-", "cuda", **hosts)
    line = "cuda:0 cuda:0 0 PCI_BUS_ID None None"
    assert told.splitlines() == [line, line], "also who replaces one that died"


def test_processors_alone_hide_all_devices(run: Any) -> None:
    assert run(PROGRAM, "2", "-", "cpu").splitlines() == ["cpu cpu -1 None -1 -1"] * 2


REFUSED = """
import snakepit, sys
try:
    snakepit.Pool("json:JSONDecoder", size=2, devices=sys.argv[1:])
except snakepit.ConfigError as error:
    print(error.field, error)
"""


def test_a_device_that_is_not_there_is_refused_before_any_process(run: Any, driver: Path) -> None:
    told = run(REFUSED, "cuda:0", "cuda:2", LD_LIBRARY_PATH=driver)
    assert told.startswith("devices devices: there is no cuda:2 here; there are: cuda:0, cuda:1")
    told = run(REFUSED, "cuda:1", LD_LIBRARY_PATH=driver)
    assert "is cut up; name its instances" in told
    assert "MIG-00000000-0000-0000-0000-00000000000a" in told
    told = run(REFUSED, "cuda:1", LD_LIBRARY_PATH=driver, CUDA_VISIBLE_DEVICES="0")
    assert "CUDA_VISIBLE_DEVICES hides 1" in told


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ([], "at least one"),
        (["gpu"], "names no device"),
        (["cuda:x"], "names no device"),
        ([5], "names no device"),
        (5, "a list such as"),
        (["rocm:900"], "there is no rocm:900"),
        ("mps", "there is no mps here"),
        (["\udcff"], "names no device"),
    ],
    ids=["none", "family", "number", "int", "no-list", "missing", "apple", "surrogate"],
)
def test_what_is_no_device_is_refused(devices: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        snakepit.Pool("json:JSONDecoder", size=1, devices=devices)
    assert caught.value.field == "devices"


@pytest.mark.parametrize(
    "options",
    [
        {"env": {"CUDA_VISIBLE_DEVICES": "0"}},
        {"env": ("strict", {"CUDA_VISIBLE_DEVICES": ["0", "1"]})},
        {"env": {"CUDA_VISIBLE_DEVICES": None}},
        {"secrets": "CUDA_VISIBLE_DEVICES"},
        {"secrets": iter(["CUDA_VISIBLE_DEVICES"])},
    ],
    ids=["set", "strict", "removed", "secret", "once"],
)
def test_two_words_on_the_same_are_refused(options: Any) -> None:
    with pytest.raises(ConfigError, match="CUDA_VISIBLE_DEVICES") as caught:
        snakepit.Pool("json:JSONDecoder", size=1, devices=["cpu"], **options)
    assert caught.value.field == "devices"


def test_an_inline_pool_has_no_worker_to_tell() -> None:
    with pytest.raises(ConfigError, match="inline"):
        snakepit.Pool("json:JSONDecoder", size=1, devices=["cpu"], inline=True)


def test_the_hosts_own_variable_is_replaced(run: Any, driver: Path) -> None:
    told = run(
        PROGRAM,
        *("1", "-", "GPU-00000000-0000-0000-0000-000000000001"),
        LD_LIBRARY_PATH=driver,
        CUDA_VISIBLE_DEVICES="1,0",
    )
    first = told.splitlines()[0]
    assert first == "GPU-00000000-0000-0000-0000-000000000001 cuda:0 0 PCI_BUS_ID None None"
