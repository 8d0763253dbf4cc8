"""Large data as others send it: the contenders of ``data.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from multiprocessing import get_context, shared_memory
from pathlib import Path
from typing import Any

import numpy as np


def take(array: Any) -> None:
    """What a worker of the others does."""


def touch_segment(name: str, items: int) -> None:
    segment = shared_memory.SharedMemory(name=name)
    try:
        np.ndarray(items, buffer=segment.buf)[0]
    finally:
        segment.close()


def touch_map(path: str) -> None:
    np.load(path, mmap_mode="r")[0]


Contender = tuple[str, Callable[[], object]]


@contextmanager
def others(array: Any) -> Iterator[list[Contender]]:
    """The same array to a worker of other libraries, as their users send it. Those that are not
    installed are left out."""
    with ExitStack() as stack:
        executor = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        executor.submit(take, None).result()
        segment = shared_memory.SharedMemory(create=True, size=array.nbytes)
        stack.callback(segment.unlink)
        stack.callback(segment.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        dumped = folder / "array.npy"

        def by_segment() -> None:
            np.copyto(np.ndarray(array.shape, buffer=segment.buf), array)
            executor.submit(touch_segment, segment.name, len(array)).result()

        def by_map() -> None:
            np.save(dumped, array)
            executor.submit(touch_map, str(dumped)).result()

        yield [
            ("ProcessPoolExecutor", lambda: executor.submit(take, array).result()),
            ("multiprocessing.shared_memory by hand", by_segment),
            ("a memory map in /dev/shm by hand", by_map),
            *stack.enter_context(by_joblib(array)),
            *stack.enter_context(by_ray(array)),
        ]


@contextmanager
def by_joblib(array: Any) -> Iterator[list[Contender]]:
    """Its workers map what it dumps to a file, for each array object once."""
    try:
        joblib: Any = import_module("joblib")
    except ImportError:
        yield []
        return
    with joblib.Parallel(n_jobs=2, max_nbytes="1M") as parallel:
        yield [("joblib", lambda: parallel([joblib.delayed(take)(array[:])]))]


@contextmanager
def by_ray(array: Any) -> Iterator[list[Contender]]:
    """Put into its object store, which the actor reads in place."""
    try:
        ray: Any = import_module("ray")
    except ImportError:
        yield []
        return
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=16 * array.nbytes,
    )
    try:

        class Actor:
            def take(self, array: Any) -> None:
                """As a worker of the others does."""

            def make(self, items: int) -> Any:
                return np.ones(items)

        actor = ray.remote(Actor).remote()
        ray.get(actor.take.remote(0))
        yield [
            ("Ray, argument", lambda: ray.get(actor.take.remote(ray.put(array)))),
            ("Ray, result", lambda: ray.get(actor.make.remote(len(array)))),
        ]
    finally:
        ray.shutdown()
