"""Rounds of storm and quiet, until the time is over or something is wrong."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import control_groups

import snakepit

from .arena import Arena, plain_pool, some_drain, with_recycling
from .callers import Caller
from .census import Holdings, marked, strays, zombies
from .coroutines import Coroutines
from .faults import Faults
from .ledger import Ledger

THREADS, TASKS = 4, 5
QUIET_WITHIN = 60.0
"""Seconds; longer than anything takes that works, on a busy machine."""
NEIGHBOUR_GONE_WITHIN = 5.0
MOST_DESCRIPTORS, MOST_THREADS, MOST_MEMORY = 8, 3, 32 << 20
WARM_UP = 2
"""Quiet points before holdings are compared."""
ENOUGH = 10
"""Quiet points that tell growth from what is opened now and then; a run of a minute has them."""
TESTS = Path(__file__).parent.parent


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos loop")
        self._thread.start()

    def run(self, coroutine: Any, seconds: float | None = None) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Neighbour:
    """The other host process."""

    def __init__(self, seed: str) -> None:
        self._mark = uuid.uuid4().hex
        environment = {**os.environ, "CHAOS_RUN": self._mark, "PYTHONPATH": str(TESTS)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.neighbour", seed],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout.readline()

    def kill(self) -> tuple[str | None, float]:
        """SIGKILL it: what is wrong, and the seconds until all that it had was gone."""
        ended = self._process.poll()
        self._process.kill()
        before = time.monotonic()
        limit = before + NEIGHBOUR_GONE_WITHIN
        while (left := marked(f"CHAOS_RUN={self._mark}")) and time.monotonic() < limit:
            time.sleep(0.005)
        took = time.monotonic() - before
        _, err = self._process.communicate()
        if self._said != "ready\n" or ended is not None:
            return f"the neighbour ended by itself ({ended}): {err}", took
        return (f"the neighbour was killed, and {left} are left" if left else None), took


class Run:
    """One chaos run. ``wrong`` tells afterwards what was."""

    def __init__(self, seed: int, seconds: float, say: Callable[[str], None]) -> None:
        self.seed = seed
        self._seconds = seconds
        self._say = say
        self._mark = uuid.uuid4().hex
        self._random = self._own("rounds")
        self.ledger = Ledger()
        self.holdings: list[Holdings] = []
        self.slowest_neighbour = 0.0
        self._stop = threading.Event()

    def _own(self, whose: str) -> Random:
        return Random(f"{self.seed} {whose}")

    @property
    def wrong(self) -> list[str]:
        return self.ledger.wrong

    def go(self) -> None:
        """Run to the end, or to the first quiet point at which something is wrong."""
        os.environ["CHAOS_RUN"] = self._mark
        end = time.monotonic() + self._seconds
        loop = Loop()
        self._alpha = Arena("alpha", with_recycling, lambda p, d: p.close(drain=d), self.ledger)
        self._beta = Arena("beta", plain_pool, lambda p, d: loop.run(p.close(drain=d)), self.ledger)
        arenas = [self._alpha, self._beta]
        self._faults = Faults(
            lambda: [arena.pool for arena in arenas], self.ledger.oracle, self._own("faults")
        )
        self._callers = [
            Caller(self._alpha.current, self.ledger, self._own(f"thread {n}"))
            for n in range(THREADS)
        ]
        self._coroutines = [
            Coroutines(self._beta.current, self.ledger, self._own(f"task {n}"))
            for n in range(TASKS)
        ]
        try:
            number = 0
            while time.monotonic() < end and not self.wrong:
                self._round(loop, min(end, time.monotonic() + self._length()))
                if not self._quiet(arenas):
                    return  # Closing would wait for what hangs.
                number += 1
                self._say(f"round {number}: {self.told()}")
            for arena in arenas:
                arena.end(arena.pool)
                arena.account()
            self._nothing_left()
            held = self.holdings[WARM_UP:]
            if len(held) >= ENOUGH and (wrong := grown(held)):
                self.ledger.complain(wrong)
        finally:
            if self.wrong:
                faulthandler.dump_traceback()
            loop.stop()

    def _length(self) -> float:
        """Seconds of a storm; a short run has several, too."""
        return self._random.uniform(0.05, 0.1) * min(self._seconds, 150)

    def _round(self, loop: Loop, end: float) -> None:
        self._stop.clear()
        neighbour = Neighbour(f"{self.seed} {self._random.random()}")
        killed = time.monotonic() + self._random.random() * (end - time.monotonic())
        reopened = {
            arena: time.monotonic() + self._random.uniform(0.2, 0.9) * (end - time.monotonic())
            for arena in (self._alpha, self._beta)
            if self._random.random() < 0.4
        }
        storm = [
            *(self._thread(self._calling, caller) for caller in self._callers),
            self._thread(lambda: loop.run(self._in_the_loop())),
        ]
        while time.monotonic() < end:
            self._faults.strike()
            pause = time.monotonic() + self._random.expovariate(6)
            while time.monotonic() < min(pause, end):
                self._faults.resume()
                time.sleep(0.005)
            if neighbour is not None and time.monotonic() > killed:
                storm.append(self._thread(self._kill, neighbour))
                neighbour = None
            for arena in [each for each, when in reopened.items() if time.monotonic() > when]:
                del reopened[arena]
                storm.append(self._thread(arena.reopen, some_drain(self._random)))
        self._faults.resume(all_of_them=True)
        self._stop.set()
        if neighbour is not None:
            self._kill(neighbour)
        limit = time.monotonic() + QUIET_WITHIN
        for thread in storm:
            thread.join(max(0.0, limit - time.monotonic()))
            if thread.is_alive():
                self.ledger.complain(f"{thread.name} does not end")

    def _thread(self, what: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(what, *args), daemon=True)
        thread.start()
        return thread

    def _guarded(self, what: Callable[..., None], *args: Any) -> None:
        try:
            what(*args)
        except BaseException:
            self.ledger.complain(traceback.format_exc())

    def _calling(self, caller: Caller) -> None:
        while not self._stop.is_set():
            caller.act()

    async def _in_the_loop(self) -> None:
        async def calling(each: Coroutines) -> None:
            while not self._stop.is_set():
                await each.act()
                await asyncio.sleep(0)

        await asyncio.gather(*map(calling, self._coroutines))

    def _kill(self, neighbour: Neighbour) -> None:
        wrong, took = neighbour.kill()
        self.slowest_neighbour = max(self.slowest_neighbour, took)
        if wrong:
            self.ledger.complain(wrong)

    def _quiet(self, arenas: Sequence[Arena]) -> bool:
        """Nobody calls: whether everything comes to rest, and what is wrong then."""
        limit = time.monotonic() + QUIET_WITHIN
        while (unrest := self._unrest(arenas)) and time.monotonic() < limit:
            time.sleep(0.01)
        self.ledger.judge(worker for arena in arenas for worker in arena.workers())
        if unrest:
            self.ledger.complain(f"no rest within {QUIET_WITHIN:.0f} s: {unrest}")
            return False
        for arena in arenas:
            arena.account()
        self.holdings.append(Holdings.now())
        return True

    def _unrest(self, arenas: Sequence[Arena]) -> Any:
        if not self.ledger.settled():
            return self.ledger.unsettled()
        for arena in arenas:
            if unrest := arena.unrest():
                return unrest
        shims = [shim for arena in arenas for shim in arena.shims()]
        return strays(f"CHAOS_RUN={self._mark}", shims) or zombies()

    def _nothing_left(self) -> None:
        snakepit.cleanup()  # As the next host would, after the neighbours.
        limit = time.monotonic() + 10
        while (left := self._left()) and time.monotonic() < limit:
            time.sleep(0.02)
        if left:
            self.ledger.complain(f"all is closed, and {left} are left")

    def _left(self) -> list[Any]:
        return [*marked(f"CHAOS_RUN={self._mark}").items(), *control_groups.of_workers()]

    def told(self) -> str:
        """What happened so far, in one line."""
        tally = dict(self.ledger.tally.most_common())
        last = self.holdings[-1]
        return (
            f"{tally}, faults {dict(self._faults.done)}, deadline late ≤ "
            f"{self.ledger.latest_deadline * 1000:.0f} ms, neighbour gone ≤ "
            f"{self.slowest_neighbour * 1000:.0f} ms, close ≤ "
            f"{max(self._alpha.slowest_close, self._beta.slowest_close):.1f} s, "
            f"fds {last.descriptors}, threads {last.threads}, {last.memory >> 20} MiB"
        )


def grown(samples: Sequence[Holdings]) -> str | None:
    """Whether a process holds more and more, by its quiet points: what, or ``None``.

    The least of a half is compared with the least of the other: one that is high once is noise.
    """
    half = len(samples) // 2
    if not half:
        return None
    limits = Holdings(MOST_DESCRIPTORS, MOST_THREADS, MOST_MEMORY)
    for name, limit in limits._asdict().items():
        values = [getattr(sample, name) for sample in samples]
        before, after = min(values[:half]), min(values[half:])
        if after > before + limit:
            return f"{name} grew from {before} to {after}: {values}"
    return None
