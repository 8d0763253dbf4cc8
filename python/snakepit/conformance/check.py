"""What a check is: a name, a sentence, a place in the specification, and a function that judges.

A check gets a ``Bench`` and returns when the worker does what the sentence says; it raises
``Violation`` or ``Skip`` otherwise. The words of a violation are the protocol's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakepit.errors import DecodeError

from .host import LineEnded, OutOfTurn, ScriptedHost, Silence, shown, until
from .launch import BootError, Launch
from .protocol import failure_kind

QUIET = 0.2
"""Seconds in which a worker that says too much has the time to say it."""

TOOLS = {
    "echo": False,
    "fail": False,
    "large": False,
    "count": True,
    "wait": False,
    "about": False,
}
"""The conformance tools that every worker must have, and whether they stream."""


class Violation(Exception):  # noqa: N818
    """The worker broke a rule."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected = expected
        self.got = got


class Skip(Exception):  # noqa: N818
    """The rule does not apply to this worker; says why."""


@dataclass(frozen=True)
class Check:
    """One rule of the protocol."""

    name: str
    says: str
    anchor: str
    """Of the section in docs/protocol.md."""
    judge: Callable[[Bench], None]


CHECKS: dict[str, Check] = {}
"""All checks, in the order in which they run."""


def check(name: str, says: str, anchor: str) -> Callable[[Callable[[Bench], None]], Any]:
    """Makes the function the judge of the rule ``says``."""

    def register(judge: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CHECKS[name] = Check(name, says, anchor, judge)
        return judge

    return register


class Bench:
    """Where a check finds a worker: one that many share, or one of its own.

    Args:
        launch: How to start one.
        bound: Seconds that anything may take.
    """

    def __init__(self, launch: Launch, bound: float) -> None:
        self.launch = launch
        self.bound = bound
        self.left: list[str] = []
        """Processes that were left when a worker had ended."""
        self.printed = ""
        """What the worker that ended last had printed last."""
        self.mute = False
        """It was started as always and ended without a frame; so it will be each time."""
        self._folder = tempfile.TemporaryDirectory(prefix="line")
        self.folder = Path(self._folder.name)
        self._shared: ScriptedHost | None = None
        self._tools: dict[str, bool] = {}
        # None: nobody tried. One that never starts fails one check, not each.
        self._starts: bool | None = None
        self._files = 0
        self._spoke = False

    def file(self) -> Path:
        """A path where there is no file yet, for a tool to make."""
        self._files += 1
        return self.folder / f"file{self._files}"

    def worker(self) -> ScriptedHost:
        """A ready worker, which another check may have used and another one will."""
        if self._starts is False:
            raise Skip("no worker became ready")
        if self._shared is None:
            self._starts = bool(self._starts)
            host = self._start({})
            try:
                self._tools = {t.name: t.streaming for t in ready(host).tools}
            except BaseException:
                self._end(host, {})
                raise
            self._shared, self._starts = host, True
        return self._shared

    def has(self, tool: str) -> bool:
        """Whether the worker has this tool."""
        self.worker()
        return tool in self._tools

    @contextmanager
    def fresh(self, **options: Any) -> Iterator[ScriptedHost]:
        """A worker of the check's own, which has not said Hello yet; it ends with the block."""
        host = self._start(options)
        try:
            yield host
        finally:
            self._end(host, options)

    def drop(self) -> None:
        """Ends the shared worker: after a failure nobody knows what it is up to."""
        host, self._shared = self._shared, None
        if host is not None:
            self._end(host, {})

    def close(self) -> None:
        self.drop()
        self._folder.cleanup()

    def _start(self, options: dict[str, Any]) -> ScriptedHost:
        try:
            return ScriptedHost(self.launch, self.folder, **{"bound": self.bound, **options})
        except (BootError, ConnectionError):
            self._note(False, options)
            raise

    def _end(self, host: ScriptedHost, options: dict[str, Any]) -> None:
        self.left += host.close()
        self.printed = host.process.last_lines()
        self._note(host.spoke, options)

    def _note(self, spoke: bool, options: dict[str, Any]) -> None:
        # Options are what a check tries out: the silence may be the answer to them.
        self._spoke |= spoke
        self.mute = not (self._spoke or options)


@contextmanager
def plain_words() -> Iterator[None]:
    """Turns what a scripted host raises into a violation."""
    try:
        yield
    except OutOfTurn as error:
        raise Violation(error.due, shown(error.frame)) from error
    except Silence as error:
        raise Violation("a frame", str(error)) from error
    except LineEnded as error:
        raise Violation("a worker that goes on", str(error)) from error
    except BootError as error:
        raise Violation("a worker that starts", str(error)) from error
    except DecodeError as error:
        raise Violation("a value as docs/values.md has it", str(error)) from error
    except OSError as error:
        raise Violation("a control socket that works", f"{error}") from error


def ready(host: ScriptedHost) -> Any:
    """The handshake of a worker that starts well; its Ready."""
    answer = host.handshake()
    if type(answer).__name__ != "Ready":
        raise Violation("Ready as the answer to Initialize", shown(answer))
    return answer


def expect(expected: object, got: object, what: str) -> None:
    """The two must be equal; ``what`` names them."""
    if expected != got:
        raise Violation(f"{what}: {expected!r}"[:400], f"{got!r}"[:400])


def expect_failure(failure: Any, *kinds: str, after: str) -> None:
    """The failure must be of one of these kinds."""
    if failure_kind(failure) not in kinds:
        wanted = " or ".join(kinds)
        raise Violation(f"a failure of kind {wanted} {after}", shown(failure))


def expect_quiet(host: ScriptedHost, after: str) -> None:
    """The worker must say nothing now."""
    frame = host.frame_within(QUIET)
    if frame is not False:
        raise Violation(f"nothing {after}", shown(frame))


def expect_exit(host: ScriptedHost, after: str, code: int | None = None) -> None:
    """The worker must exit by itself, with this code where one is named."""
    if not host.worker_ended():
        raise Violation(f"the worker exits {after}", f"it still runs after {host.bound:g} s")
    if code is not None:
        expect(code, host.process.exit_code(host.bound), f"exit code {after}")


def expect_started(host: ScriptedHost, file: Path) -> None:
    """The tool ``wait`` must have made its file: it runs."""
    if not until(file.exists, host.bound):
        raise Violation("wait() runs and makes its file", f"there is none after {host.bound:g} s")


def expect_well(host: ScriptedHost) -> None:
    """The worker goes on as if nothing had been."""
    with plain_words():
        call = host.call("echo", value="well")
        expect("well", host.result(call), "the next call's value")
