"""What a program is told of its machine, seen from outside of it."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit import hardware
from snakepit.errors import ConfigError, DeviceNotAvailable

DETECT = """
import json
from dataclasses import asdict
from snakepit import hardware
print(json.dumps({
    "found": asdict(hardware.detect()),
    "has": asdict(hardware.capabilities()),
    "best": str(hardware.select()),
    "identity": hardware.identity(),
}))
"""


def detected(text: str) -> Any:
    return json.loads(text)


def test_the_library_of_a_driver_is_asked(run: Any, driver: Path) -> None:
    told = detected(run(DETECT, LD_LIBRARY_PATH=driver))
    cuda = told["found"]["cuda"]
    assert (cuda["source"], cuda["version"]) == ("nvml", "12.4")
    assert cuda["driver_version"] == "550.54.15"
    first, second = cuda["devices"]
    assert (first["name"], first["compute_capability"]) == ("NVIDIA A40", "8.6")
    assert (second["memory_total_mb"], second["mig_enabled"]) == (81920, True)
    assert [it["name"] for it in second["mig_devices"]] == ["1g.10gb", "1g.10gb"]
    assert (told["best"], told["has"]["cuda"]) == ("cuda:0", True)
    identity = told["identity"]
    assert (identity["gpu_count"], identity["accelerator"]) == (2, "cuda")
    assert list(identity) == sorted(identity)
    assert "free" not in json.dumps(identity)
    assert "GPU-" not in json.dumps(identity)


def test_what_a_variable_hides_is_not_there(run: Any, driver: Path) -> None:
    told = detected(run(DETECT, LD_LIBRARY_PATH=driver, CUDA_VISIBLE_DEVICES="1"))
    (device,) = told["found"]["cuda"]["devices"]
    assert (device["index"], device["physical_index"]) == (0, 1)
    assert told["found"]["cuda"]["hidden"] == 1
    told = detected(run(DETECT, LD_LIBRARY_PATH=driver, CUDA_VISIBLE_DEVICES=""))
    assert (told["best"] == "cuda:0", told["has"]["cuda"]) == (False, False)


def test_a_package_of_python_brings_its_cudnn(run: Any, driver: Path, tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    for name, text in {
        "nvidia/cudnn/lib/libcudnn.so.9": "",
        "nvidia/cudnn/include/cudnn_version.h": "#define CUDNN_MAJOR 9\n"
        "#define CUDNN_MINOR 5\n#define CUDNN_PATCHLEVEL 1\n",
    }.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    told = detected(run(DETECT, LD_LIBRARY_PATH=driver, PYTHONPATH=packages))
    assert told["found"]["cuda"]["cudnn_version"] == "9.5.1"
    assert told["has"]["cudnn"] is True


# A driver of this machine's own would be asked first.
NO_DRIVER = pytest.mark.skipif(
    hardware.detect().cuda is not None or hardware.detect().rocm is not None,
    reason="there is a real one here",
)


@NO_DRIVER
@pytest.mark.parametrize(
    "script",
    ["sleep 600", "while :; do echo flood; done", "exit 1", "printf '\\377\\376,,,'", ":"],
    ids=["hangs", "floods", "fails", "babbles", "silent"],
)
def test_a_tool_that_does_not_work_is_not_available(run: Any, tools: Any, script: str) -> None:
    path = tools(nvidia_smi=script, rocm_smi=script)
    told = detected(run(DETECT, PATH=path))
    assert (told["found"]["cuda"], told["found"]["rocm"], told["best"]) == (None, None, "cpu")


@NO_DRIVER
def test_other_threads_run_while_a_tool_hangs(run: Any, tools: Any) -> None:
    program = (
        "import threading, time\n"
        "from snakepit import hardware\n"
        "beats, over = [], threading.Event()\n"
        "def beat():\n"
        "    while not over.wait(0.01):\n"
        "        beats.append(1)\n"
        "thread = threading.Thread(target=beat)\n"
        "thread.start()\n"
        "begun = time.monotonic()\n"
        "hardware.detect()\n"
        "took = time.monotonic() - begun\n"
        "over.set(); thread.join()\n"
        "print(took > 1.5, took < 20, len(beats) > 10)\n"
    )
    assert run(program, PATH=tools(nvidia_smi="sleep 600")) == "True True True\n"


@NO_DRIVER
def test_what_is_found_is_remembered_until_it_is_forgotten(run: Any, tools: Any) -> None:
    count = 'echo asked >> "$COUNTED"; exit 1'
    program = (
        "from snakepit import hardware\n"
        "hardware.detect(); hardware.capabilities(); hardware.select('cpu')\n"
        "import os\n"
        "asked = lambda: len(open(os.environ['COUNTED']).readlines())\n"
        "once = asked()\n"
        "hardware.clear_cache()\n"
        "hardware.identity()\n"
        "print(once, asked())\n"
    )
    counted = Path(tools(rocm_smi=count).split(":")[0]) / "counted"
    once, twice = run(program, PATH=tools(rocm_smi=count), COUNTED=counted).split()
    assert (int(once), int(twice)) == (1, 2)


def test_this_machine_is_told_as_others_tell_it() -> None:
    cpu = hardware.detect().cpu
    assert cpu.usable.cpus == sorted(os.sched_getaffinity(0))
    assert 1 <= cpu.usable.cores <= len(cpu.usable.cpus)
    assert cpu.cores <= cpu.threads
    assert cpu.threads == os.sysconf("SC_NPROCESSORS_ONLN")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert abs(cpu.memory_total_mb - total) <= 1
    assert cpu.usable.memory_mb <= cpu.memory_total_mb
    assert set(cpu.features) == {*cpu.features}
    assert cpu.features == sorted(cpu.features)
    assert hardware.device_info("cpu") == cpu
    assert hardware.capabilities().avx2 is ("avx2" in cpu.features)


def test_an_affinity_is_a_limit(run: Any) -> None:
    program = (
        "import os\n"
        "from snakepit import hardware\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "usable = hardware.detect().cpu.usable\n"
        "print(usable.cores, len(usable.cpus))\n"
    )
    assert run(program) == "1 1\n"


def test_the_first_that_there_is_is_taken() -> None:
    assert hardware.select_with_fallback(["cuda:900", ("rocm", 900), "cpu"]) == ("cpu", None)
    assert hardware.select("cpu") == hardware.Device("cpu")
    assert str(hardware.Device("cuda", 1)) == "cuda:1"
    assert hardware.select(hardware.Device("cpu")) == ("cpu", None)


def test_a_device_that_is_not_there_is_told_with_those_that_are() -> None:
    for ask in (hardware.select, hardware.device_info):
        with pytest.raises(DeviceNotAvailable, match="cuda:900") as caught:
            ask("cuda:900")
        assert caught.value.device == "cuda:900"
        assert caught.value.available[-1] == "cpu"
        assert caught.value.may_have_run is False
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.device, again.available) == ("cuda:900", caught.value.available)
    with pytest.raises(DeviceNotAvailable):
        hardware.select_with_fallback([])


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "gpu",
        "cuda:",
        "cuda:-1",
        "CUDA",
        "mps:1",
        "cuda:\udcff",
        5,
        None,
        ("cuda",),
        (0, "cuda"),
    ],
    ids=repr,
)
def test_what_names_no_device_is_refused(wrong: Any) -> None:
    for ask in (hardware.select, hardware.device_info):
        with pytest.raises(ConfigError) as caught:
            ask(wrong)
        assert caught.value.field == "device"
    with pytest.raises(ConfigError):
        hardware.select_with_fallback(["cpu", wrong])


def test_a_fork_looks_for_itself(run: Any) -> None:
    program = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from snakepit import hardware\n"
        "model = hardware.detect().cpu.model\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if hardware.detect().cpu.model == model else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert run(program) == "0\n"


def test_it_is_loaded_when_it_is_asked_for_and_not_before(driver: Path) -> None:
    program = (
        "import sys, snakepit\n"
        "pool = snakepit.Pool\n"
        "loaded = 'snakepit.hardware' in sys.modules\n"
        "mapped = lambda: 'libnvidia-ml' in open('/proc/self/maps').read()\n"
        "print(loaded, mapped())\n"
        "print(snakepit.hardware.detect().cuda is not None, mapped())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LD_LIBRARY_PATH": str(driver)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False False\nTrue False\n"


def test_the_seeds_example() -> None:
    info = snakepit.hardware.detect()
    assert info.accelerator in ("cpu", "cuda", "rocm", "mps")
    assert info.cpu.cores >= 1
    caps = snakepit.hardware.capabilities()
    assert {type(flag) for flag in (caps.cuda, caps.mps, caps.rocm, caps.avx2)} == {bool}
    device = snakepit.hardware.select_with_fallback(["cuda", "mps", "cpu"])
    assert device.kind in ("cuda", "mps", "cpu")
    text = json.dumps(snakepit.hardware.identity())
    snakepit.hardware.clear_cache()
    assert json.dumps(snakepit.hardware.identity()) == text
