"""boot.py in real processes: good interpreters become workers, the others say what they lack."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import snakepit_bridge
from snakepit_bridge import boot

from . import interpreters
from .fake_core import WAIT

BRIDGE = Path(snakepit_bridge.__file__).parent
BOOT = BRIDGE / "boot.py"
TOO_OLD = ["2.7", "3.6", "3.7", "3.8", "3.9"]
GOOD = ["3.11", "3.12", "3.13"]

# Runs the Python of stub_core.py as its own body. Limited API, so one build serves all.
STUB = r"""
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdio.h>
#include <stdlib.h>

static int run(PyObject *module) {
    static char source[65536];
    FILE *file = fopen(getenv("STUB_SOURCE"), "r");
    if (!file) return -1;
    source[fread(source, 1, sizeof source - 1, file)] = 0;
    fclose(file);
    PyObject *names = PyModule_GetDict(module);
    PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins());
    PyObject *code = Py_CompileString(source, "stub_core.py", Py_file_input);
    PyObject *result = code ? PyEval_EvalCode(code, names, names) : NULL;
    Py_XDECREF(code);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, run}, {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, 0, NULL, slots};
PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
"""

ADAPTER = """
import sys
from snakepit_bridge import BaseAdapter, tool

class Adapter(BaseAdapter):
    @tool
    def look(self):
        import os, __main__, snakepit_bridge
        return {
            "argv": sys.argv,
            "path": sys.path,
            "prefix": sys.prefix,
            "bridge": snakepit_bridge.__file__,
            "main": sorted(n for n in vars(__main__) if n not in ("__builtins__",)),
            "stdin": os.readlink("/proc/self/fd/0"),
            "site": "site" in sys.modules,
        }
"""


PARENT = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from snakepit_bridge import BaseAdapter, tool

def double(x):
    return 2 * x

class Adapter(BaseAdapter):
    @tool
    def look(self):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            return {"doubled": executor.submit(double, 21).result(timeout=30)}
"""


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a stub ``_core``, or a skip where nothing can build it."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "stub.c").write_text(STUB)
    target = folder / "_core.abi3.so"
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the stub with")
    headers = [sysconfig.get_path("include")]
    for version in GOOD:
        python = interpreters.find(version)
        if python is not None:
            show = "import sysconfig; print(sysconfig.get_path('include'))"
            headers.append(subprocess.check_output([python, "-c", show], text=True).strip())
    # From a version of the limited API on, any header will do; 3.10's knows none of 3.11.
    for include in reversed(headers):
        command = [compiler, "-shared", "-fPIC", f"-I{include}", "-o", str(target)]
        done = subprocess.run([*command, str(folder / "stub.c")], capture_output=True, check=False)
        if done.returncode == 0:
            return str(target)
    pytest.skip("no Python of this machine has headers to build the stub with")


class Booted:
    def __init__(self, messages: list[bytes], exit_code: int, stderr: str) -> None:
        self.messages = messages
        self.exit_code = exit_code
        self.stderr = stderr

    @property
    def found(self) -> Any:
        assert [m[:1] for m in self.messages] == [b"R"], (self.messages, self.stderr)
        return json.loads(self.messages[0][1:])


Boot = Callable[..., Booted]


@pytest.fixture
def run_boot(tmp_path: Path) -> Boot:
    def run_boot(
        python: str,
        core: str,
        *,
        adapter: str = ADAPTER,
        line: str = "auto",
        sys_path: list[str] | None = None,
        bridge_path: str = str(BRIDGE),
        **environment: str,
    ) -> Booted:
        (tmp_path / "stub_adapter.py").write_text(adapter)
        start = {"sys_path": sys_path or [], "bridge_path": bridge_path}
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path),
            "STUB_SOURCE": str(Path(__file__).with_name("stub_core.py")),
            "STUB_START": json.dumps(start),
            **environment,
        }
        host, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with host, worker:
            host.settimeout(WAIT)
            process = subprocess.Popen(
                [python, "-S", str(BOOT), line, core],
                stdin=worker,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env,
            )
            worker.close()
            messages = []
            while message := host.recv(1 << 17):
                messages.append(message)
            _, stderr = process.communicate(timeout=WAIT)
        return Booted(messages, process.returncode, stderr)

    return run_boot


@pytest.mark.parametrize("version", TOO_OLD)
def test_an_old_interpreter_says_what_it_is_and_what_is_needed(
    version: str, run_boot: Boot
) -> None:
    python = interpreters.need(version)
    booted = run_boot(python, "/nowhere/_core.abi3.so")

    assert (booted.exit_code, booted.stderr) == (boot.REFUSED, "")
    (message,) = booted.messages
    kind, text = message[:1], message[1:].decode()
    assert kind == b"E"
    assert python in text
    assert f" {version}." in text
    assert "needs CPython 3.11 or newer" in text
    assert "3.10 on with grpcio, msgpack and protobuf" in text
    assert 'Pool(..., python="/path/to/python3.11")' in text


@pytest.mark.parametrize("version", ["3.10"])
def test_the_native_end_is_not_replaced_where_it_is_asked_for(version: str, run_boot: Boot) -> None:
    python = interpreters.need(version)
    booted = run_boot(python, "/nowhere/_core.abi3.so", line="native")
    assert (booted.exit_code, booted.stderr) == (boot.REFUSED, "")
    (message,) = booted.messages
    text = message[1:].decode()
    assert python in text
    assert "the native end needs CPython 3.11 or newer" in text
    assert 'Pool(..., python="/path/to/python3.11")' in text


@pytest.mark.parametrize("version", GOOD)
def test_a_good_interpreter_becomes_a_worker(
    version: str, run_boot: Boot, core: str, tmp_path: Path
) -> None:
    booted = run_boot(interpreters.need(version), core)

    assert (booted.exit_code, booted.stderr) == (0, "")
    found = booted.found
    assert found["argv"] == [""]
    assert found["bridge"] == str(BRIDGE / "__init__.py")
    assert found["core"] == "snakepit._core"
    assert found["stdin"] == "/dev/null"
    assert str(tmp_path) in found["path"], "PYTHONPATH counts"
    assert str(BRIDGE) not in found["path"], "the script's folder does not"
    assert found["site"]
    assert "run" not in found["main"], "boot.py is not the user's main module"
    assert "__file__" not in found["main"], "multiprocessing would run it again"


@pytest.mark.parametrize("version", GOOD)
def test_an_adapter_may_have_multiprocessing_children(
    version: str, run_boot: Boot, core: str, tmp_path: Path
) -> None:
    path = f"{tmp_path}:{BRIDGE.parent}"
    booted = run_boot(interpreters.need(version), core, adapter=PARENT, PYTHONPATH=path)
    assert booted.found["doubled"] == 42
    assert booted.stderr == ""


@pytest.mark.parametrize("safe", ["", "1"])
def test_the_hosts_path_is_kept_as_it_is(
    run_boot: Boot, core: str, tmp_path: Path, safe: str
) -> None:
    standard = [p for p in sys.path if "python3" in p and "site-packages" not in p]
    path = [str(tmp_path), *standard]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version not in GOOD:
        pytest.skip("the path of this Python fits this Python only, which is too old for boot.py")
    booted = run_boot(sys.executable, core, sys_path=path, PYTHONSAFEPATH=safe)
    assert booted.found["path"] == path


def test_a_virtual_environment_is_its_own_world(run_boot: Boot, core: str, tmp_path: Path) -> None:
    base = next((p for p in map(interpreters.find, reversed(GOOD)) if p), None)
    if base is None:
        pytest.skip("there is no Python that boots on this machine")
    venv = tmp_path / "venv"
    subprocess.run([base, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=WAIT)
    found = run_boot(str(venv / "bin" / "python"), core).found
    assert found["prefix"] == str(venv)
    assert any(p.startswith(str(venv)) and p.endswith("site-packages") for p in found["path"])
    assert found["bridge"] == str(BRIDGE / "__init__.py"), "nothing to install there"


@pytest.mark.parametrize("version", GOOD)
@pytest.mark.parametrize("folder", ["", "/nowhere/snakepit_bridge"])
def test_a_missing_sdk_is_reported_with_the_mend(
    version: str, folder: str, run_boot: Boot, core: str, tmp_path: Path
) -> None:
    python = interpreters.need(version)
    booted = run_boot(python, core, bridge_path=folder)
    assert booted.exit_code == boot.REFUSED
    (message,) = booted.messages
    text = message.decode()
    assert text.startswith(f"E{python} cannot import snakepit_bridge")
    if folder:
        assert folder in text
        assert "install snakepit-bridge there again" in text
    else:
        assert f"{python} -m pip install snakepit-bridge" in text


@pytest.mark.parametrize("version", GOOD)
def test_an_extension_that_does_not_load_is_reported(
    version: str, run_boot: Boot, tmp_path: Path
) -> None:
    broken = tmp_path / "_core.abi3.so"
    broken.write_text("this is no library")
    booted = run_boot(interpreters.need(version), str(broken), line="native")
    assert booted.exit_code == boot.REFUSED
    (message,) = booted.messages
    assert message.startswith(b"E")
    assert f"cannot load {broken}" in message.decode()


@pytest.mark.skipif(sys.version_info < boot.NEEDED, reason="too old, whatever the extension")
def test_an_extension_for_another_interpreter_is_not_even_tried() -> None:
    other = "/lib/_core.cpython-399-x86_64-linux-gnu.so"
    assert f"cannot load {other}" in boot.misfit(other)
    assert boot.misfit("/lib/_core.so") == ""


@pytest.mark.skipif(sys.version_info < boot.NEEDED, reason="too old, whatever the extension")
def test_a_free_threaded_python_takes_no_abi3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert boot.misfit("/lib/_core.abi3.so") == ""
    monkeypatch.setattr(sys, "abiflags", "t")
    assert "free-threaded cpython" in boot.misfit("/lib/_core.abi3.so")
