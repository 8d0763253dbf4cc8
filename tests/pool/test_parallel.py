"""A free-threaded Python computes in several threads of one worker at once; skipped on others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from .conftest import until

THREADS = "pool.overlapping:Threads"
FREE_THREADED = "t" in getattr(sys, "abiflags", "")
only_free_threaded = pytest.mark.skipif(
    not FREE_THREADED, reason="this Python's threads compute in turn"
)


@only_free_threaded
def test_two_threads_compute_at_the_same_time(make_pool: Any) -> None:
    """Where threads take turns, each hands over after 5 ms, and 20 turns take a tenth of a second.

    Nobody has to be alone on the machine for this; ``benches/profiles.py`` has the figure.
    """
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=2)
    pool.await_ready(60)
    assert pool.info().workers[0].python.gil is False
    game = {"turns": 20, "wanted": 0.01, "limit": 30.0}
    players = [pool.submit("rally", {"player": player, **game}) for player in (0, 1)]
    assert min(player.result(90) for player in players) <= 0.01


@only_free_threaded
def test_what_two_threads_share_costs_them_nothing(make_pool: Any) -> None:
    """The constants of the code are shared: to count references to them takes twice the time."""
    pool = make_pool(THREADS, size=1, profile="thread", threads_per_worker=2)
    task = {"rounds": 1_000_000}
    pool.execute("burn", task, timeout=60)
    alone = min(pool.execute("burn", task, timeout=60) for _ in range(3))
    pairs = [[pool.submit("burn", task), pool.submit("burn", task)] for _ in range(3)]
    together = min(max(call.result(60) for call in pair) for pair in pairs)
    assert together < 1.6 * alone


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
