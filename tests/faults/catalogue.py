"""The rows: which fault is injected by what, how often in a test, and how often for the record."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import control_groups

import snakepit

from . import (
    called_back,
    flood,
    host_faults,
    retries,
    settled,
    start_faults,
    stuck,
    wear,
    worker_faults,
)
from .figures import Figure, none
from .hosts import FAULTY
from .processes import Holdings, InVainError, marked, until


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of the list in `docs/faults.md`."""

    number: int
    fault: str
    measure: Callable[..., Iterator[Figure]]
    small: Mapping[str, Any]
    full: Mapping[str, Any]
    scaled: tuple[str, ...] = field(default=())
    """The parameters that a soak of another scale multiplies."""

    @property
    def name(self) -> str:
        return f"{self.number:02}_{self.measure.__name__}"

    def counts(self, scale: float) -> dict[str, Any]:
        """The full parameters, times ``scale``, but no less than the small ones."""
        counts = dict(self.full)
        for name in self.scaled:
            kind = type(self.full[name])
            counts[name] = max(self.small[name], kind(self.full[name] * scale))
        return counts

    def run(self, counts: Mapping[str, Any]) -> list[Figure]:
        """Inject the fault and measure, then look for what is left of it.

        Raises:
            NotHereError: This machine cannot have this fault.
        """
        with control_groups.apart(), _run_folder():
            _warm_up()
            before = Holdings.settled()
            figures = list(self.measure(**counts))
            snakepit.cleanup()  # As the next host would, where one was killed.
            with contextlib.suppress(InVainError):  # Then the figures tell it.
                until(lambda: not marked(), "all are gone", 15)
                until(lambda: Holdings.now().within(before), "back to what it was", BACK_WITHIN)
            more = Holdings.now().more_than(before)
            figures.append(none("processes left at the end", len(marked())))
            figures.append(none("leaks: " + (_listed(more) or LEAKLESS), sum(more.values())))
        return figures


BACK_WITHIN = 12.0
"""Seconds: a thread that measured memory for the pool ends when it was idle for 10."""
LEAKLESS = "descriptors, threads, zombies, files, shared memory, control groups"


def _listed(more: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:+}" for what, count in more.items() if count)


@contextlib.contextmanager
def _run_folder() -> Iterator[None]:
    """Run folders apart from everybody's, so that what is left there is ours."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    # Directly below /tmp, or the path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="faults-", dir="/tmp") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["XDG_RUNTIME_DIR"]
            if before is not None:
                os.environ["XDG_RUNTIME_DIR"] = before


def _warm_up() -> None:
    """What a process makes once, for its first pool, is no leak."""
    with snakepit.Pool(FAULTY, size=1) as pool:
        future = pool.submit("pid")
        future.add_done_callback(lambda _: None)
        future.result(60)
        pool.health()
    snakepit.cleanup()


QUICK = {"interval": 0.1, "timeout": 0.4}
DEFAULT_BEAT = {"interval": 2.0, "timeout": 10.0}

ROWS = [
    Row(
        1,
        "host killed by SIGKILL; busy, GIL-held, setsid'ed and double-forked descendants",
        host_faults.killed,
        {"rounds": 8, "size": 2, "heavy_rounds": 1},
        {"rounds": 1000, "size": 2, "heavy_rounds": 10},
        ("rounds", "heavy_rounds"),
    ),
    Row(
        2,
        "host told to end by SIGTERM, with short and long calls",
        host_faults.terminated,
        {"rounds": 1, "drain": 1.0},
        {"rounds": 2, "drain": 20.0},
        ("rounds", "drain"),
    ),
    Row(
        3,
        "Ctrl-C to the whole group, once and twice, tools ignoring SIGTERM",
        host_faults.interrupted,
        {"rounds": 1},
        {"rounds": 10},
        ("rounds",),
    ),
    Row(
        4,
        "host stopped and continued",
        host_faults.stopped,
        {"seconds": 2.0, "options": {"heartbeat": QUICK, "stall_kill": 0.1}},
        {"seconds": 30.0, "options": {"heartbeat": DEFAULT_BEAT, "stall_kill": 1}},
        ("seconds",),
    ),
    Row(
        5,
        "workers killed by SIGKILL under load",
        worker_faults.killed_under_load,
        {"seconds": 2.0, "a_second": 5.0},
        {"seconds": 60.0, "a_second": 5.0},
        ("seconds",),
    ),
    Row(
        6,
        "worker crashes by SIGSEGV",
        worker_faults.crashed,
        {"rounds": 3},
        {"rounds": 100},
        ("rounds",),
    ),
    Row(
        7,
        "worker killed for want of memory, or limited, or killed by somebody",
        worker_faults.out_of_memory,
        {"rounds": 1},
        {"rounds": 30},
        ("rounds",),
    ),
    Row(
        8,
        "worker stopped by SIGSTOP in a call",
        stuck.worker_stopped,
        {"rounds": 1, "heartbeat": QUICK, "detected": 1.0},
        {"rounds": 5, "heartbeat": {"interval": 1.0, "timeout": 2.0}, "detected": 4.0},
        ("rounds",),
    ),
    Row(
        9,
        "interpreter held in C, without and with a deadline",
        stuck.interpreter_held,
        {"rounds": 8, "seconds": 0.4, "longest": 1.0},
        {"rounds": 100, "seconds": 0.5, "longest": 30.0},
        ("rounds", "longest"),
    ),
    Row(
        10,
        "tool busy, ignoring SIGTERM, or blocking all signals at its deadline",
        stuck.signals_ignored,
        {"rounds": 1},
        {"rounds": 20},
        ("rounds",),
    ),
    Row(
        11,
        "half of the calls cancelled at random times",
        settled.cancelled,
        {"calls": 1000},
        {"calls": 10_000},
        ("calls",),
    ),
    Row(
        12,
        "results within a millisecond of the deadline",
        settled.deadline_race,
        {"calls": 2000, "size": 4},
        {"calls": 100_000, "size": 8},
        ("calls",),
    ),
    Row(
        14,
        "adapter raises whenever a worker starts, then is mended",
        start_faults.boot_loop,
        {"rounds": 1, "watched": 1.0, "failed_starts": 2},
        {"rounds": 3, "watched": 5.0, "failed_starts": 5},
        ("rounds",),
    ),
    Row(
        15,
        "initialize() takes long, or forever",
        start_faults.slow_warmup,
        {"seconds": 1.0, "calls": 20},
        {"seconds": 60.0, "calls": 100},
        ("seconds",),
    ),
    Row(
        17,
        "workers started, used and killed again and again",
        worker_faults.spawned_and_killed,
        {"cycles": 60, "size": 6},
        {"cycles": 10_000, "size": 6},
        ("cycles",),
    ),
    Row(
        18,
        "the thread that started the workers ends",
        start_faults.spawning_thread_ends,
        {"seconds": 0.5},
        {"seconds": 15.0},
        ("seconds",),
    ),
    Row(
        19,
        "two hosts of one user; one is killed, its numbers belong to others",
        host_faults.not_alone,
        {"rounds": 1},
        {"rounds": 20},
        ("rounds",),
    ),
    Row(
        20,
        "each call leaks a mebibyte",
        wear.leaking,
        {"seconds": 3.0},
        {"seconds": 30.0},
        ("seconds",),
    ),
    Row(
        21,
        "the home of a session is killed",
        worker_faults.session_lost,
        {"rounds": 2},
        {"rounds": 50},
        ("rounds",),
    ),
    Row(
        22,
        "ten times more calls than the workers can do",
        flood.flooded,
        {"seconds": 2.0},
        {"seconds": 60.0},
        ("seconds",),
    ),
    Row(
        23,
        "reader of a stream is slow, stops, then is gone",
        wear.reader_gone,
        {"rounds": 2, "items": 5_000},
        {"rounds": 50, "items": 100_000},
        ("rounds", "items"),
    ),
    Row(
        24,
        "host tools that call back into their own pool, and some that never return",
        called_back.called_back,
        {"rounds": 2, "calls": 20},
        {"rounds": 20, "calls": 500},
        ("rounds", "calls"),
    ),
    Row(
        25,
        "callbacks, log handlers and observers all at once, workers killed meanwhile",
        wear.observed,
        {"seconds": 2.0},
        {"seconds": 60.0},
        ("seconds",),
    ),
    Row(
        29,
        "half of all attempts kill their worker, then all of them, then none",
        retries.retry_storm,
        {"calls": 10},
        {"calls": 100},
        ("calls",),
    ),
]
