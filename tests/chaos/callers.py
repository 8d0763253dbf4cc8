"""What threads ask of a ``Pool``. Each caller does one thing after the other; the seed says which.

A caller never waits for ever: what may hang has a deadline, or is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

from snakepit import Pool, SessionLost, SnakepitError

from .ledger import Ledger
from .oracle import Call, Chunks, SessionModel

# What a tool that does not stop is given, at most: then its worker is ended.
LONG = 60.0

Act = TypeVar("Act")


def data(random: Random) -> bytes:
    """Nothing, little, some, or up to 1 MiB."""
    most = random.choice((0, 40, 4096, 4096, 100_000, 1 << 20))
    return random.randbytes(random.randint(0, most))


def plain(random: Random) -> tuple[str, dict[str, Any]]:
    """A call that can only fail by what happens to its worker."""
    match random.randrange(8):
        case 0 | 1 | 2:
            return "echo", {"data": data(random)}
        case 3 | 4:
            return "digest", {"data": data(random)}
        case 5:
            return "grow", {"size": random.choice((0, 100, 70_000, 1 << 20))}
        case 6:
            return "work_later", {"seconds": random.uniform(0, 0.02)}
    return "work", {"seconds": random.uniform(0, 0.05)}


def nasty(random: Random) -> tuple[str, dict[str, Any], float | None]:
    """A tool that misbehaves, and its deadline where it would not end."""
    match random.randrange(12):
        case 0:
            return "leave", {"code": random.randint(0, 120)}, None
        case 1:
            return "crash", {"name": random.choice(("SIGKILL", "SIGSEGV", "SIGABRT"))}, None
        case 2 | 3:
            return "fail", {}, None
        case 4:
            return "seize", {"seconds": random.uniform(0.05, 0.8)}, None
        case 5:
            return "seize", {"seconds": LONG}, random.uniform(0.05, 0.4)
        case 6:
            return "ignore_sigterm", {"seconds": LONG}, random.uniform(0.05, 0.4)
        case 7:
            return "allocate", {"mebibytes": random.randint(1, 64)}, None
        case 8 | 9:
            return "flood", {"lines": random.randint(1, 3000)}, None
    return "children", {"kind": random.choice(("plain", "session", "below_nobody"))}, None


def hurried(random: Random) -> tuple[str, dict[str, Any], float]:
    """A call whose deadline may be before its end, after it, or the same."""
    seconds = random.uniform(0.005, 0.3)
    tool = random.choice(("work", "work_later", "heed", "heed"))
    return tool, {"seconds": seconds}, max(0.001, seconds + random.choice((-0.2, -0.05, 0, 0.1)))


def stream(random: Random) -> tuple[str, dict[str, Any]]:
    """Few large chunks, or many small ones."""
    size = random.choice((0, 10, 10, 5000, 200_000))
    upto = random.randint(0, 40 if size > 100 else 3000)
    return random.choice(("count", "count_later")), {"upto": upto, "size": size}


def chosen(random: Random, acts: list[tuple[Act, int]]) -> Act:
    """One of them, by its weight."""
    (act, _) = random.choices(acts, [weight for _, weight in acts])[0]
    return act


class Caller:
    """One thread's work on the pool that ``current`` returns at that moment."""

    def __init__(self, current: Callable[[], Pool], ledger: Ledger, random: Random) -> None:
        self._current = current
        self._ledger = ledger
        self._random = random
        self._acts: list[tuple[Callable[[Pool], None], int]] = [
            (self.execute, 30),
            (self.submit, 15),
            (self.map, 6),
            (self.stream, 9),
            (self.session, 10),
            (self.hurry, 8),
            (self.give_up, 6),
            (self.misbehave, 9),
        ]

    def act(self) -> None:
        """Do the next thing, whole."""
        chosen(self._random, self._acts)(self._current())

    def execute(self, pool: Pool) -> None:
        tool, args = plain(self._random)
        idempotent = self._random.random() < 0.2
        self._execute(pool, tool, args, idempotent=idempotent)

    def misbehave(self, pool: Pool) -> None:
        tool, args, timeout = nasty(self._random)
        self._execute(pool, tool, args, timeout=timeout)

    def hurry(self, pool: Pool) -> None:
        tool, args, timeout = hurried(self._random)
        self._execute(pool, tool, args, timeout=timeout)

    def _execute(self, pool: Pool, tool: str, args: dict[str, Any], **asked: Any) -> None:
        call = self._ledger.begin(pool.name, tool, args, **asked)
        try:
            value = pool.execute(tool, call.args, **asked)
        except SnakepitError as error:
            self._ledger.error(call, error)
        else:
            self._ledger.answer(call, value)

    def submit(self, pool: Pool) -> None:
        """Several at once; some are given up. Each tells its end once, and always the same."""
        started: list[tuple[Call, Any]] = []
        told: list[int] = []
        for _ in range(self._random.randint(1, 20)):
            tool, args = plain(self._random)
            if future := self._submit(pool, call := self._ledger.begin(pool.name, tool, args)):
                future.add_done_callback(lambda _, number=call.number: told.append(number))
                started.append((call, future))
        for call, future in started:
            if self._random.random() < 0.25:
                self._cancel(call, future)
        for call, future in started:
            self._end(call, future)
        limit = time.monotonic() + 30
        while len(told) < len(started) and time.monotonic() < limit:
            time.sleep(0.002)
        if sorted(told) != [call.number for call, _ in started]:
            self._ledger.complain(f"{len(started)} futures called back {len(told)} times")

    def give_up(self, pool: Pool) -> None:
        """Cancel what runs, or waits, or has just ended."""
        seconds = self._random.choice((0.01, 0.1, LONG))
        tool = self._random.choice(("work", "heed", "seize", "work_later"))
        call = self._ledger.begin(pool.name, tool, {"seconds": seconds})
        if future := self._submit(pool, call):
            time.sleep(self._random.uniform(0, 0.12))
            self._cancel(call, future)
            self._end(call, future)

    def _submit(self, pool: Pool, call: Call) -> Any:
        try:
            return pool.submit(call.tool, call.args)
        except SnakepitError as error:
            self._ledger.error(call, error)
            return None

    def _cancel(self, call: Call, future: Any) -> None:
        call.given_up = time.monotonic()
        if not future.cancel():
            call.given_up = None  # It had ended; the outcome stands.

    def _end(self, call: Call, future: Any) -> None:
        outcome = told_by(future)
        if isinstance(outcome, BaseException):
            self._ledger.error(call, outcome)
        else:
            self._ledger.answer(call, outcome)
        again = told_by(future)
        if type(again) is not type(outcome) or str(again) != str(outcome):
            self._ledger.complain(f"{call}: {outcome!r:.80} became {again!r:.80}")

    def map(self, pool: Pool) -> None:
        calls: list[Call] = []

        def items() -> Iterator[dict[str, Any]]:
            for _ in range(self._random.randint(0, 30)):
                call = self._ledger.begin(pool.name, "echo", {"data": data(self._random)})
                calls.append(call)
                yield call.args

        answered = 0
        try:
            for value in pool.map("echo", items(), in_flight=self._random.randint(1, 8)):
                self._ledger.answer(calls[answered], value)
                answered += 1
        except SnakepitError as error:
            self._ledger.error(calls[answered], error)
            for call in calls[answered + 1 :]:
                self._ledger.drop(call)

    def stream(self, pool: Pool) -> None:
        """Read to the end, or drop it on the way."""
        tool, args = stream(self._random)
        stop = self._random.randint(0, args["upto"]) if self._random.random() < 0.4 else None
        call = self._ledger.begin(pool.name, tool, args)
        try:
            chunks = pool.execute_stream(tool, call.args)
            wrong = self._read(call, chunks, stop)
        except SnakepitError as error:
            self._ledger.error(call, error)
            return
        if wrong is not None:
            self._ledger.complain(f"{call}: {wrong}")
        if stop is None:
            self._ledger.answer(call, None)
        else:
            self._ledger.drop(call)

    def _read(self, call: Call, chunks: Any, stop: int | None) -> str | None:
        check = Chunks(call)
        with chunks:
            for taken, chunk in enumerate(chunks):
                if wrong := check.take(chunk):
                    return wrong
                if taken == stop:
                    return None
        return check.end() if stop is None else None

    def session(self, pool: Pool) -> None:
        """Some calls of one strict session: all in one worker, or it is lost."""
        fail_fast = self._random.random() < 0.2
        name = f"{self._random.randrange(1 << 30)}"
        session = pool.session(name, affinity="strict_fail_fast" if fail_fast else "strict_queue")
        model = SessionModel(pool.name)
        for _ in range(self._random.randint(1, 12)):
            timeout = self._random.choice((None, None, None, 0.05, 0.5))
            call = self._ledger.begin(
                pool.name, "bump", {}, timeout=timeout, session=name, fail_fast=fail_fast
            )
            call.home = model.home
            try:
                value = session.execute("bump", call.args, timeout=timeout)
            except SnakepitError as error:
                self._ledger.error(call, error)
                if isinstance(error, SessionLost) or pool.closed:
                    return
                model.may_have_run()
            else:
                self._ledger.answer(call, value, model.answered(value))


def told_by(future: Any) -> Any:
    """What a future tells: its value or its error."""
    try:
        return future.result()
    except SnakepitError as error:
        return error
