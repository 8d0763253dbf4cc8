"""Who is killed and who is stopped. Every fault is told to the oracle before it is done."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from .census import parent
from .oracle import Oracle

FAULTS = ("SIGKILL",) * 6 + ("SIGTERM", "SIGSEGV", "SIGABRT") + ("stop",) * 4
FAULTS += ("shim SIGKILL",) * 2 + ("shim stop",) * 2


class Faults:
    """Puts faults on the workers of the pools that ``current`` returns."""

    def __init__(self, current: Callable[[], list[Any]], oracle: Oracle, random: Random) -> None:
        self._current = current
        self._oracle = oracle
        self._random = random
        self._stopped: list[tuple[float, int]] = []
        """When to set going again, and by which pidfd."""
        self.done: Counter[str] = Counter()

    def strike(self) -> None:
        """Put one fault on one worker, whichever the seed says."""
        pool = self._random.choice(self._current())
        fault = self._random.choice(FAULTS)
        slot, pause = self._random.random(), self._random.uniform(0.02, 0.8)
        workers = [worker for worker in pool.list_workers() if worker.pid is not None]
        if not workers:
            return
        worker = workers[int(slot * len(workers))]
        target = self._target(worker.pid, of_shim=fault.startswith("shim"))
        if target is None:
            return
        name = fault.removeprefix("shim ")
        if name != "stop":
            self._oracle.harm(worker.ref, time.monotonic(), fault)
        try:
            signal.pidfd_send_signal(target, getattr(signal, "SIGSTOP" if name == "stop" else name))
        except ProcessLookupError:  # It has ended meanwhile.
            os.close(target)
            return
        if name == "stop":
            self._stopped.append((time.monotonic() + pause, target))
        else:
            os.close(target)
        self.done[fault] += 1

    def _target(self, worker: int, of_shim: bool) -> int | None:
        """A descriptor of the process; ``None``: it is gone, or its number is another's by now."""
        shim = parent(worker)
        if shim is None or parent(shim) != os.getpid():
            return None
        try:
            target = os.pidfd_open(shim if of_shim else worker)
        except ProcessLookupError:
            return None
        if parent(worker) != shim or parent(shim) != os.getpid():
            os.close(target)
            return None
        return target

    def resume(self, *, all_of_them: bool = False) -> None:
        """Set going again what was stopped long enough."""
        now = time.monotonic()
        left = []
        for when, target in self._stopped:
            if when > now and not all_of_them:
                left.append((when, target))
                continue
            with contextlib.suppress(ProcessLookupError):  # It ended meanwhile.
                signal.pidfd_send_signal(target, signal.SIGCONT)
            os.close(target)
        self._stopped = left
