"""Every call from its start to its verdict, and everything else that was found wrong.

Answers are judged when they come, errors at the next quiet point: only then is it known what was
done to whom. Shared by threads.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from snakepit import WorkerRef

from .oracle import Call, Oracle

MOST_TOLD = 20


class Ledger:
    def __init__(self) -> None:
        self.oracle = Oracle()
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.latest_deadline = 0.0
        """Seconds that a caller waited beyond its deadline, at most."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: set[Call] = set()
        self._failed: list[tuple[Call, BaseException]] = []
        self._attempts: Counter[str] = Counter()

    def begin(self, pool: str, tool: str, args: dict[str, Any], **asked: Any) -> Call:
        """Write down a call that is made next; its number goes into its arguments."""
        number = next(self._numbers)
        args["number"] = number
        call = Call(number, pool, tool, args, time.monotonic(), **asked)
        with self._lock:
            self._open.add(call)
            self._attempts[pool] += 1
        return call

    def answer(self, call: Call, value: Any, wrong: str | None = None) -> None:
        """The call returned ``value``."""
        self._end(call, "answered", None)
        if wrong := wrong or self.oracle.answer(call, value):
            self.complain(f"{call}: {wrong}")

    def error(self, call: Call, error: BaseException) -> None:
        """The call ended in ``error``."""
        self._end(call, type(error).__name__, error)
        if call.timeout is not None:
            late = call.ended - call.began - call.timeout
            self.latest_deadline = max(self.latest_deadline, late)
        with self._lock:
            self._failed.append((call, error))

    def drop(self, call: Call) -> None:
        """Nobody looks at the call's end any more."""
        call.given_up = call.given_up or time.monotonic()
        self._end(call, "dropped", None)

    def _end(self, call: Call, how: str, error: BaseException | None) -> None:
        call.ended = time.monotonic()
        with self._lock:
            if call not in self._open:
                self.wrong.append(f"{call}: ended twice, now as {how}")
                return
            self._open.remove(call)
            self.tally[how] += 1
            self.tally["calls"] += 1
            self.oracle.learn(call, error)

    def complain(self, what: str) -> None:
        """Something is wrong."""
        with self._lock:
            self.wrong.append(what)

    def settled(self) -> bool:
        """Whether every call that was made has ended."""
        with self._lock:
            return not self._open

    def unsettled(self) -> list[str]:
        """The calls that have not ended."""
        with self._lock:
            return [str(call) for call in self._open]

    def attempts(self, pool: str) -> int:
        """Calls that were made of a pool, those refused at the door too."""
        return self._attempts[pool]

    def judge(self, living: Iterable[WorkerRef]) -> None:
        """Judge the errors since the last time; for a moment when all calls have ended.

        Args:
            living: The workers that there are at that moment.
        """
        with self._lock:
            failed, self._failed = self._failed, []
            self.oracle.living = {*living}
        for call, error in failed:
            if wrong := self.oracle.error(call, error):
                self.complain(f"{call}: {wrong}\n    {type(error).__name__}: {error!s:.2000}")

    def told(self) -> str:
        """What was wrong, for people."""
        more = len(self.wrong) - MOST_TOLD
        shown = "\n".join(f"- {each}" for each in self.wrong[:MOST_TOLD])
        return f"{shown}\n- and {more} more" if more > 0 else shown
