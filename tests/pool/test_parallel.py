"""A free-threaded Python computes in several threads of one worker at once; skipped on others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import until
from .overlapping import Threads

THREADS = "pool.overlapping:Threads"
FREE_THREADED = "t" in getattr(sys, "abiflags", "")
only_free_threaded = pytest.mark.skipif(
    not FREE_THREADED, reason="this Python's threads compute in turn"
)


def _rounds(seconds: float) -> int:
    """How much of ``burn`` takes about so long here."""
    adapter, rounds = Threads.__new__(Threads), 20_000
    while True:
        begin = time.perf_counter()
        adapter.burn(rounds)
        if (took := time.perf_counter() - begin) > 0.05:
            return round(rounds * seconds / took)
        rounds *= 2


@only_free_threaded
def test_two_threads_compute_at_once(make_pool: Any) -> None:
    """Generous, since others may use this machine; ``benches/profiles.py`` has the figure.

    What others take away makes a run slower and never faster, so the fastest ones are compared.
    """
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=2)
    pool.await_ready(60)
    task = {"rounds": _rounds(0.25)}

    def took(calls: int) -> float:
        with ThreadPoolExecutor(calls) as callers:
            begin = time.perf_counter()
            list(callers.map(lambda _: pool.execute("burn", task), range(calls)))
            return time.perf_counter() - begin

    took(2)  # Both threads have run it once.
    assert pool.info().workers[0].python.gil is False
    one, two = took(1), took(2)
    for _ in range(20):
        if (speed_up := 2 * one / two) >= 1.5:
            return
        one, two = min(one, took(1)), min(two, took(2))
    pytest.fail(f"two threads did {speed_up:.2f} times what one does")


@only_free_threaded
def test_a_module_that_switches_the_lock_on_is_named(make_pool: Any, tmp_path: Path) -> None:
    _old_module(tmp_path, "of_old_times")
    pool = make_pool(THREADS, size=1, profile="thread", pythonpath=[tmp_path])
    pool.await_ready(60)
    detail = pool.info().workers[0]
    assert (detail.python.gil, detail.python.gil_enabled_by, detail.reports) == (False, None, ())
    pool.execute("load", {"name": "of_old_times"})
    detail = until(lambda: (it := pool.info().workers[0]).python.gil and it, "it is told")
    assert detail.python.gil_enabled_by == "of_old_times"
    assert detail.reports == (
        "module of_old_times switched the global interpreter lock on: threads run one at a time",
    )


def _old_module(folder: Path, name: str) -> None:
    """An extension module that does not say that it can do without the lock."""
    compiler = shutil.which("cc") or pytest.skip("a C compiler is needed")
    source = folder / f"{name}.c"
    source.write_text(
        "#include <Python.h>\n"
        f'static struct PyModuleDef def = {{PyModuleDef_HEAD_INIT, "{name}", 0, -1}};\n'
        f"PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&def); }}\n"
    )
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_paths()["include"]
    command = [compiler, "-shared", "-fPIC", f"-I{include}", source, "-o", folder / (name + suffix)]
    subprocess.run(command, check=True)


@only_free_threaded
def test_numpy_leaves_the_lock_off(make_pool: Any) -> None:
    pytest.importorskip("numpy")
    pool = make_pool(THREADS, size=1, profile="thread")
    assert pool.execute("numpy_sum", timeout=60) == 4950
    assert pool.info().workers[0].python.gil is False
