"""What the SDK asks of the worker's end of the line. Types only; nothing imports this at run time.

``snakepit._core`` is the native end and satisfies ``Core``. Any other end has to as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, TypedDict

Failure = tuple[str, str, str]
"""Type name, message, traceback text."""

Detail = tuple[
    list[str],
    "Report | None",
    "Report | None",
    "list[Report]",
    "str | None",
    "list[Any] | None",
]
"""Notes, cause, context, a group's members; class of the pool's ``errors``, arguments."""
Report = tuple[str, str, str, "Detail | None"]
"""A ``Failure`` and what it is made of; of one inside of another, its own frames alone."""

Describe = Callable[[type[BaseException], BaseException, "TracebackType | None"], Report]
Tools = Mapping[str, tuple[Callable[..., Any], bool]]
"""Name to a plain callable, and whether that returns an iterator of chunks."""


class Call(Protocol):
    """The call that a tool is running for."""

    @property
    def id(self) -> int: ...
    @property
    def tool(self) -> str: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def session_new(self) -> bool: ...
    @property
    def session_generation(self) -> int:
        """Number of the session's binding to this worker; 0: no session."""

    def session_metadata(self) -> dict[str, Any]: ...
    def session_state(self) -> dict[str, Any]:
        """See ``_sessions.Sessions.state``."""

    @property
    def cancelled(self) -> bool: ...
    def remaining(self) -> float | None: ...
    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        """Have ``callback`` called once from any thread when the host cancels; None takes it back.

        Called at once if the call is cancelled already.
        """

    @property
    def trace(self) -> tuple[str, str, bytes] | None:
        """``traceparent`` and ``tracestate`` of the call, and the id of the span of this execution,
        empty where nobody records the trace. ``None``: it is not traced.
        """

    def ask_host(
        self, name: str, arguments: dict[str, Any], streaming: bool, span: bytes | None = None
    ) -> HostReply:
        """Ask the host to run one of its tools, from any thread, while this call runs.

        ``span``: the id of the one inside of which it is asked. Default: that of this execution.

        ``RuntimeError``: the call has ended, or too many are under way.
        """


class HostReply(Protocol):
    """A host tool that was asked for."""

    def wait(self) -> None:
        """Block until an item or the end is here."""

    def watch(self, callback: Callable[[], object]) -> bool:
        """Have it called once, from any thread, when one is; False: one is here already."""

    def take(self) -> tuple[str, Any] | None:
        """What comes next, once: see ``snakepit._core.HostReply``. None: nothing is here."""

    def close(self) -> None:
        """Nobody waits for it any more."""


class Start(TypedDict):
    sys_path: list[str]
    bridge_path: str


class Initialize(TypedDict):
    adapter_kind: str
    adapter_location: str
    adapter_qualname: str
    arguments: dict[str, Any]
    pool: str
    slot: int
    generation: int
    device: str | None
    profile: str
    """``process``, ``thread`` or ``async``."""
    capacity: int
    """Calls that run at once."""
    thread_safety_checks: bool
    errors: list[str]
    unserializable: tuple[str, int, int] | None


Gil = tuple[bool, "str | None"]
"""Whether the lock is on, and the module for which a free-threaded Python switched it on."""


Listed = tuple[str, str, bool, str, bool]
"""Of a tool: name, description, whether it streams, JSON schema of its parameters, whether it may
overlap with itself."""


class Job(Protocol):
    """A call that was taken up, where several run at once. Only its first answer counts."""

    @property
    def call(self) -> Call: ...
    @property
    def tool(self) -> str: ...
    @property
    def streams(self) -> bool:
        """Whether it is to be answered item by item."""

    def begin(self) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """The tool and its keywords; None: there is nothing to run, and the call is answered."""

    def reply(self, value: Any) -> None:
        """Answer with what the tool returned."""

    def fail(self, error: BaseException) -> None:
        """Answer with what the tool raised."""

    def room(self) -> bool | None:
        """Whether the next item may be pulled; False: the stream must stop; None: not yet."""

    def wait_for_room(self) -> bool:
        """As ``room``, but waits instead of None."""

    def add(self, item: Any) -> None:
        """One more item; it leaves when there is room."""

    def end(self) -> None:
        """Answer that the stream ended well."""

    def stop(self, error: BaseException | None = None) -> None:
        """Answer that the stream was stopped early; ``error``: what closing it raised."""


class Jobs(Protocol):
    """The calls that the host sent and nobody has taken up."""

    def get(self) -> Job | None:
        """Wait for the next call; None: no more come."""

    def get_nowait(self) -> Job | None: ...
    def next_end(self) -> int | None:
        """Wait for the end of a session: its number; None: no more are told of.

        No call is taken up until ``ended``.
        """

    def ended(self) -> None:
        """What ``next_end`` gave is done with."""

    def fileno(self) -> int:
        """An eventfd, readable after a call came, and after a stream may have room again."""


class Outlet(Protocol):
    """Where what an adapter tells is left for the host, from any thread. Never waits."""

    @property
    def version(self) -> int:
        """Another number after each change of what ``wanted`` says; never 0."""

    def wanted(self) -> tuple[bool, float, list[str], list[str]]:
        """What the host wants: see ``telemetry._filter.Filter``."""

    def event(
        self,
        name: str,
        time_ns: int,
        measurements: dict[str, float],
        metadata: dict[str, str | float | bool],
        correlation_id: str,
        call_id: int,
    ) -> None:
        """Tell an event, as ``telemetry._plain`` makes it; empty, 0: none."""

    def span(
        self,
        ids: tuple[bytes, bytes, bytes],
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, str | float | bool],
        status: int,
        message: str,
        call_id: int,
    ) -> None:
        """Tell that a span has begun (``end_ns`` 0), or all of it once it has ended.

        Args:
            ids: Of the trace (16 bytes), the span and its parent (8 bytes; none: empty).
            status: 0: unset; 1: ok; 2: error, with a message.
        """


class Line(Protocol):
    """The stream to the host, once it is open."""

    @property
    def initialize(self) -> Initialize: ...
    @property
    def telemetry(self) -> Outlet | None:
        """None: the host wants none, ever."""

    def ready(self, tools: Sequence[Listed], gil: Gil | None = None) -> None:
        """Tell which tools there are.

        Raises:
            ValueError: That is more than a frame holds. Nothing was sent.
        """

    def report(self, topic: str, text: str, gil: Gil | None = None) -> None:
        """Tell people something about this worker, from any thread."""

    def start_failed(self, failure: Failure, adapter_source: bool, permanent: bool) -> None: ...
    def substitute_by(self, substitute: Callable[[Any], Any]) -> None:
        """From now on what cannot travel in a result is sent as what ``substitute`` makes of it."""

    def serve(
        self,
        tools: Tools,
        current: ContextVar[Call | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
    ) -> bool: ...
    def jobs(
        self,
        tools: Tools,
        current: ContextVar[Call | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
    ) -> Jobs:
        """The calls that the host sends, for threads or tasks that run several at once."""

    def drive(self, jobs: Jobs) -> bool:
        """Hand out calls on this thread until the host drains and all are answered (True), or the
        line ends (False).
        """


class Core(Protocol):
    def attach(self, bridge_version: str) -> Line: ...
