"""Is the outcome of a call right, or does a fault explain it? Pure: no process, no clock.

A call ends as an answer that follows from its arguments, or as an error. An error needs a reason:
what the call asked for (a deadline, a tool that raises or exits), what its caller did (a cancel, a
pool that is closed), or a fault that was put on *that very worker*. What happened to others never
counts: that is what "no bystander" means.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from snakepit import (
    CallTimeout,
    Cancelled,
    PoisonCall,
    PoolClosed,
    RemoteError,
    SessionBusy,
    SessionLost,
    WorkerDied,
    WorkerRef,
)

# A timer may fire so much before the clock that a caller reads says so.
EARLY = 0.01
LETHAL_TOOLS = {"leave", "crash"}
# A worker is ended for a call that was given up when the tool has not stopped after the grace. Its
# caller does not know which worker that is.
COUNTS_FOR = 20.0
OUTLIVED = "its worker was killed: a call outlived its deadline or cancel"
"""What ``SessionLost.cause`` says of such a worker."""


@dataclass(slots=True, eq=False)
class Call:
    """What was asked, and when."""

    number: int
    pool: str
    tool: str
    args: dict[str, Any]
    began: float
    timeout: float | None = None
    session: str | None = None
    home: WorkerRef | None = None
    """The session's worker, where it is known."""
    fail_fast: bool = False
    idempotent: bool = False
    given_up: float | None = None
    """When its caller began to give it up."""
    ended: float = 0.0

    def __str__(self) -> str:
        told = {
            name: f"{len(value)} bytes" if isinstance(value, bytes) else value
            for name, value in self.args.items()
        }
        return (
            f"call {self.number} of {self.pool}: {self.tool}({told}) session={self.session} "
            f"timeout={self.timeout} given_up={self.given_up} "
            f"from {self.began:.3f} to {self.ended:.3f}"
        )


@dataclass(slots=True)
class Harm:
    """A fault that may end a worker."""

    at: float
    kind: str
    """Name of the signal, with ``shim`` in front where it was for the one who watches."""


@dataclass(slots=True)
class Oracle:
    """Everything that may be a reason."""

    recycles: set[str] = field(default_factory=set)
    """Pools that replace workers by themselves."""
    harms: dict[WorkerRef, list[Harm]] = field(default_factory=lambda: defaultdict(list))
    closings: dict[str, float] = field(default_factory=dict)
    given_up: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended_by_a_tool: set[WorkerRef] = field(default_factory=set)
    living: set[WorkerRef] = field(default_factory=set)
    """The workers that there are when errors are judged: no session lost one of these."""

    def harm(self, worker: WorkerRef, at: float, kind: str) -> None:
        """A fault is about to happen to ``worker``. Said before it is done."""
        self.harms[worker].append(Harm(at, kind))

    def closing(self, pool: str, at: float) -> None:
        """The pool is about to be closed."""
        self.closings.setdefault(pool, at)

    def learn(self, call: Call, error: BaseException | None) -> None:
        """Keep what one call's end says about others. For all calls, before any is judged."""
        if call.given_up is not None or isinstance(error, CallTimeout):
            self.given_up[call.pool].append(call.ended)
        died = isinstance(error, WorkerDied) and error.worker is not None
        if died and call.tool in LETHAL_TOOLS:
            self.ended_by_a_tool.add(error.worker)

    def answer(self, call: Call, value: Any) -> str | None:
        """What is wrong with a call that returned ``value``; ``None``: nothing."""
        if call.given_up is not None:
            return "answered after it had been given up"
        if call.tool in {*LETHAL_TOOLS, "fail"}:
            return f"answered {value!r:.80}, which cannot be"
        if (right := expected(call.tool, call.args)) is not None and value != right:
            return f"answered {value!r:.80}, not {right!r:.80}"
        return None

    def error(self, call: Call, error: BaseException) -> str | None:
        """What is wrong with a call that ended in ``error``; ``None``: nothing."""
        closed = self.closings.get(call.pool)
        if closed is not None and closed <= call.ended and self._ends_with_its_pool(error):
            return None
        match error:
            case CallTimeout():
                return self._timed_out(call)
            case Cancelled():
                return None if call.given_up is not None else "cancelled, but nobody did"
            case WorkerDied():
                return self._died(call, error)
            case SessionBusy():
                return None if call.fail_fast else "busy is no answer to it"
            case SessionLost():
                return self._lost(call, error)
            case RemoteError():
                raised = call.tool == "fail" and str(call.number) in (error.remote_message or "")
                return None if raised and isinstance(error, ValueError) else "its tool is right"
        return "nothing explains this error"

    def _ends_with_its_pool(self, error: BaseException) -> bool:
        if isinstance(error, WorkerDied):
            return error.cause == "close"
        return isinstance(error, PoolClosed | Cancelled | SessionLost)

    def _timed_out(self, call: Call) -> str | None:
        if call.timeout is None:
            return "it has no deadline"
        if call.ended - call.began < call.timeout - EARLY:
            return f"timed out after {call.ended - call.began:.3f} s"
        return None

    def _died(self, call: Call, error: WorkerDied) -> str | None:
        if error.worker is None:
            return "which worker died?"
        if isinstance(error, PoisonCall) and not call.idempotent:
            return "tried again, which it must not be"
        if call.tool in LETHAL_TOOLS and self._is_what_it_does(call, error):
            return None
        for harm in self.harms.get(error.worker, ()):
            if harm.at <= call.ended and is_told_as(harm.kind, error):
                return None
        return f"a bystander: nothing was done to {error.worker!r}, cause {error.cause!r}"

    def _is_what_it_does(self, call: Call, error: WorkerDied) -> bool:
        if call.tool == "leave":
            return error.exit_code == call.args["code"]
        return error.signal == call.args["name"]

    def _lost(self, call: Call, error: SessionLost) -> str | None:
        if call.session is None:
            return "it has no session"
        home = error.worker
        if home is None:
            return "which worker was its home?"
        if call.home not in (None, home):
            return f"its home was {call.home!r}, not {home!r}"
        if home in self.living:
            return f"its home {home!r} serves on"
        reasons = {
            "its worker died": home in self.ended_by_a_tool
            or any(harm.at <= call.ended for harm in self.harms.get(home, ())),
            "its worker was recycled": call.pool in self.recycles,
            OUTLIVED: any(0 <= call.ended - at <= COUNTS_FOR for at in self.given_up[call.pool]),
        }
        # Whoever asks for a session that was lost before is not told how.
        known = any(reasons.values()) if error.cause == "its worker is gone" else False
        if known or reasons.get(error.cause or "", False):
            return None
        return f"nothing was done to {home!r}, cause {error.cause!r}"


def is_told_as(kind: str, error: WorkerDied) -> bool:
    """Whether that fault can be what ``error`` tells."""
    if kind.startswith("shim "):
        # Who watched is gone: the worker's end may come before anybody can say how.
        return error.cause in {"shim", "unknown", "signal_9"} or error.signal == "SIGKILL"
    return error.signal == kind


def expected(tool: str, args: dict[str, Any]) -> list[Any] | None:
    """What a tool of ``adapter.py`` returns; ``None``: that depends on more than its arguments."""
    number = args["number"]
    match tool:
        case "echo":
            return [number, args["data"]]
        case "digest":
            return [number, len(args["data"]), hashlib.sha256(args["data"]).hexdigest()]
        case "grow":
            return [number, bytes([number % 251]) * args["size"]]
        case "allocate":
            return [number, args["mebibytes"]]
        case "bump" | "count" | "count_later":
            return None
    return [number]


class Chunks:
    """Checks one stream while it is read: every chunk is the next one, and its own."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._next = 0

    def take(self, chunk: Any) -> str | None:
        """What is wrong with this chunk; ``None``: nothing."""
        size = self._call.args["size"]
        right = [self._call.number, self._next, bytes([self._next % 251]) * size]
        self._next += 1
        return None if chunk == right else f"chunk {self._next - 1} is {chunk!r:.80}"

    def end(self) -> str | None:
        """What is wrong with a stream that says it is complete here; ``None``: nothing."""
        upto = self._call.args["upto"]
        return None if self._next == upto else f"ended after {self._next} of {upto} chunks"


class SessionModel:
    """Where a strict session is, and how often it was there."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._least = self._most = 0
        self.home: WorkerRef | None = None

    def answered(self, value: list[Any]) -> str | None:
        """What is wrong with an answer of ``bump``; ``None``: nothing."""
        _, (slot, generation), count, is_new = value
        home = WorkerRef(self._pool, slot, generation)
        if self.home not in (None, home):
            return f"the session moved from {self.home!r} to {home!r}"
        if not self._least < count <= self._most + 1:
            return f"bump {count}, not {self._least + 1} to {self._most + 1}"
        if is_new and self._least:
            return "new again, in the same worker"
        self.home = home
        self._least = self._most = count
        return None

    def may_have_run(self) -> None:
        """A call was given up: it was there, or not."""
        self._most += 1
