"""Native half of Snakepit: the pool's engine for hosts, and the worker's native end of the line.

Private. Hosts use it through ``snakepit``, workers through ``snakepit_bridge``.
"""

from asyncio import Future as AsyncioFuture
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, TypedDict, final

from snakepit_bridge._native import Report

__version__: str
__build__: str  # "abi3" or "free-threaded"

# --- values -------------------------------------------------------------------------------------

def encode(
    value: object,
    root: str = "value",
    substitute: Callable[[Any], Any] | None = None,
    outside: list[Any] | None = None,
    threshold: int = 65536,
) -> bytes:
    """Encode a value as it travels; ``EncodeError`` names the path below ``root``.

    ``substitute`` makes something that can travel of a value that cannot. Bodies of ``threshold``
    bytes and more are appended to the list ``outside``, where there is one.
    """

def decode(data: bytes, root: str = "value", arrived: list[Any] | None = None) -> Any:
    """Decode what ``encode`` made; raises ``DecodeError`` on anything malformed.

    ``arrived`` is what came beside it, by number: objects with the buffer protocol.
    """

def keep(value: object, substitute: Callable[[Any], Any] | None = None) -> SharedRef:
    """A reference to a value in ordinary memory, for a pool without workers."""

@final
class View:
    """Memory that was sent to this process: the buffer protocol, read-only."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def private(self) -> Own | None:
        """The same bytes, to be written to; None: a copy is better."""

@final
class Own:
    """Memory that was sent to this process, copied where it is written to."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...

@final
class Room:
    """Memory that others see: the buffer protocol, to be written to."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...

@final
class SharedRef:
    """A value that lies in a pool's memory; see ``Pool.put``."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""

    def value(self) -> Any:
        """The value, read where it lies.

        Arrays and tables are views that cannot be written to. They stay when the reference is
        closed.
        """

    def close(self) -> None:
        """Let go of the value. Whoever reads it still keeps it; the reference cannot be sent again.

        Not called, that happens when nothing refers to the reference any more.
        """

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

def worker_room(nbytes: int) -> Room | None:
    """Room for a result; ``None``: outside of a worker, or its pool has no shared memory."""

def use_registry(
    encoders: dict[type, tuple[str, Callable[[Any], Any]]],
    decoders: dict[str, Callable[[Any], Any]],
) -> None:
    """Encode and decode by these dicts, which grow as types are registered."""

# --- host ---------------------------------------------------------------------------------------

STRICT_ENVIRONMENT: tuple[str, ...]  # what env="strict" lets through, beside THREAD_COUNTS
STRICT_PREFIXES: tuple[str, ...]  # and beside what begins like this
THREAD_COUNTS: tuple[str, ...]  # how numeric libraries are told their number of threads
OF_ONE_INTERPRETER: tuple[str, ...]  # misleads every other interpreter

def diagnose(type_name: str, message: str) -> tuple[str, dict[str, Any]] | None:
    """What an exception's class name and text say about shapes, devices or memory: the name of a
    class of ``snakepit.errors`` and its fields."""

def detect_hardware(packages: Sequence[str | PathLike[str]]) -> dict[str, Any]:
    """All that there is, as the fields of ``snakepit.hardware.Hardware``; looked for once.

    ``packages``: directories with Python packages.
    """

def hardware_capabilities(packages: Sequence[str | PathLike[str]]) -> dict[str, Any]:
    """As the fields of ``snakepit.hardware.Capabilities``."""

def hardware_identity(packages: Sequence[str | PathLike[str]]) -> dict[str, Any]:
    """What a lock file tells of this machine."""

def select_device(
    wanted: Sequence[str], packages: Sequence[str | PathLike[str]]
) -> tuple[Literal["cpu", "cuda", "rocm", "mps"], int | None]:
    """The first of the devices that there is."""

def device_info(wanted: str, packages: Sequence[str | PathLike[str]]) -> tuple[str, dict[str, Any]]:
    """Its family, and the fields of its class in ``snakepit.hardware``."""

def clear_hardware_cache() -> None:
    """Forget what was found."""

def usable_cores() -> int:
    """Whole processors that this process may use, by its affinity and its control groups."""

def assign_devices(
    devices: Sequence[str], packages: Sequence[str | PathLike[str]]
) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the devices that slots have in turn, and the variables that tell a worker so.

    ``ConfigError`` where there is no such device.
    """

class _AdapterSource(Protocol):
    @property
    def kind(self) -> str: ...  # "module" | "script" | "main_module"
    @property
    def location(self) -> str: ...
    @property
    def qualname(self) -> str: ...

class _PoolConfig(Protocol):
    """What ``Pool`` reads off ``snakepit._config.PoolConfig``."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def adapter(self) -> _AdapterSource: ...
    @property
    def adapter_args(self) -> Mapping[str, Any]: ...
    @property
    def python(self) -> str: ...  # absolute path of the worker's interpreter
    @property
    def arguments(self) -> Sequence[str]: ...  # the interpreter's
    @property
    def bridge_path(self) -> str: ...  # directory of the snakepit_bridge package
    @property
    def sys_path(self) -> Sequence[str]: ...  # empty: the interpreter's own
    @property
    def env(self) -> Mapping[str, str]: ...  # the same for all workers
    @property
    def env_by_slot(self) -> dict[str, tuple[list[str], str | None]]:
        """The rest: values in turn, with {slot} as in env=; directories before each of them."""

    @property
    def devices(self) -> list[str]: ...  # that the slots have in turn; empty: none
    @property
    def limits(self) -> tuple[Any, ...] | None: ...  # as the fields of snakepit.Limits
    @property
    def max_queue(self) -> int: ...
    @property
    def max_queue_bytes(self) -> int: ...
    @property
    def max_message(self) -> int: ...
    @property
    def start_timeout(self) -> float: ...
    @property
    def grace(self) -> float: ...  # between a cancel and SIGTERM
    @property
    def affinity(self) -> str: ...
    @property
    def worker_output(self) -> str: ...  # "show" | "log" | "drop"
    @property
    def profile(self) -> str: ...  # "process" | "thread" | "async"
    @property
    def capacity(self) -> int: ...  # calls that a worker runs at once
    @property
    def thread_safety_checks(self) -> bool: ...
    @property
    def control(self) -> str: ...  # "admin" | "read" | "off"
    @property
    def life(self) -> _Life: ...
    @property
    def log_lines(self) -> Callable[[list[_LogLine]], None]: ...
    @property
    def log_level(self) -> int: ...
    # (worker, stream, text): what workers print for "log", and their stacks in any case
    @property
    def retry(self) -> RetryPolicy | None: ...  # None: the engine's own
    @property
    def circuit_breaker(self) -> tuple[CircuitBreaker, bool] | None: ...  # tools' errors count?
    @property
    def worker_breaker(self) -> tuple[Any, ...] | None: ...
    # window, minimum_calls, failure_rate, failure_threshold, reset_timeout, count_remote_errors
    @property
    def crash_barrier(self) -> tuple[float, int] | None: ...  # seconds of taint, restarts
    @property
    def substitute(self) -> Callable[[Any], Any] | None: ...  # for arguments that cannot travel
    @property
    def unserializable(self) -> tuple[str, int, int] | None: ...  # for results: detail and limits
    @property
    def errors(self) -> list[str]: ...  # "module:Class"
    @property
    def telemetry(self) -> tuple[float, list[str], list[str]]: ...  # sampling, allow, deny
    @property
    def spans(self) -> SpanQueue | None: ...  # where those of traced calls go

class _Life(Protocol):
    """How workers live: ``snakepit._config.Life``. Durations are seconds."""

    @property
    def heartbeat(self) -> tuple[Any, ...] | None: ...  # as the fields of snakepit.Heartbeat
    @property
    def stall_kill(self) -> float | None: ...
    @property
    def recycle(self) -> tuple[Any, ...] | None: ...  # as the fields of snakepit.Recycle
    @property
    def startup_batch_size(self) -> int | None: ...
    @property
    def startup_batch_delay(self) -> float: ...
    @property
    def max_failed_starts(self) -> int: ...
    @property
    def degraded_retry(self) -> float: ...
    @property
    def condemn_drain(self) -> float: ...

_LogRecord: TypeAlias = tuple[
    int, str, float, str, str, int, str, int | None, str | None, str | None, str | None
]
"""level, logger, seconds since the epoch, thread, path, line, function, call, session, correlation
id, trace id"""

_LogLine: TypeAlias = tuple[str, str, str, _LogRecord | None]
"""worker, ``"stdout"`` or ``"stderr"``, text, what else there is to tell of a record"""

class _Stats(TypedDict):
    """What is counted is written at ``snakepit._stats.PoolStats``."""

    requests: int
    errors: int
    queued: int
    running: int
    completed: int
    cancelled: int
    timeouts: int
    queue_timeouts: int
    rejected: int
    shed: int
    retries: int
    retries_refused: int
    quarantined: int
    worker_deaths: int
    restarts: int
    workers: int
    ready: int
    sessions: int
    queued_bytes: int
    retry_tokens: int
    circuit: str | None
    barred: int
    restart_reasons: dict[str, int]
    shared_memory: tuple[int, int, int, int, int, int, int, int] | None

_Times: TypeAlias = tuple[list[tuple[float | None, int]], float]
"""Upper bounds of buckets in seconds and how many durations were no longer; seconds of all"""

class _ToldMetrics(TypedDict):
    """What is counted is written at ``snakepit._metrics.PoolMetrics``."""

    pool: str
    stats: _Stats
    tools: list[tuple[str, dict[str, int], _Times, _Times, _Times]]
    rejected: dict[str, int]
    workers: dict[str, int]
    streams: int
    streaming: int
    lines_dropped: int

@final
class Metrics:
    """What one pool has measured, at one moment."""

    def told(self) -> _ToldMetrics: ...

@final
class Meter:
    """Measures the calls of an inline pool."""

    def __new__(cls) -> Self: ...
    def declare(self, tools: Sequence[str]) -> None:
        """The adapter has these tools."""

    def ended(self, tool: str, outcome: str, took: float, ran: float) -> None:
        """A call ended so, that many seconds after it was made, having run for so many."""

    def refused(self) -> None:
        """A call came to the closed pool."""

    def streamed(self) -> None:
        """A stream began."""

    def metrics(
        self,
        pool: str,
        counts: tuple[int, int, int, int, int, int, int],
        ready: bool,
        streaming: int,
    ) -> Metrics:
        """All of it; ``counts``: requests, completed, errors, cancelled, rejected, restarts,
        sessions."""

def metrics_text(pools: Sequence[Metrics], openmetrics: bool) -> str:
    """The metrics of pools as Prometheus reads them, or as OpenMetrics."""

_Facts: TypeAlias = tuple[int, int, str, bool, bool, bool, float, float | None, int, str | None]
"""slot, generation, state, alive, progressing, ready, seconds in this state, seconds since the
last progress, crashes in the last minute, why it cannot start"""

_Detail: TypeAlias = tuple[int, int, int, tuple[str, bool, str | None] | None, list[str]]
"""slot, generation, calls in it, its Python (version, lock on, switched on for), reports"""

_Info: TypeAlias = tuple[str, int, list[_Detail]]
"""profile, calls that a worker runs at once, workers"""

_Health: TypeAlias = tuple[str, list[_Facts], int, int]
"""status, workers, crashes in the last minute, crashes ever"""

_Worker: TypeAlias = tuple[int, int, int | None, str, int, int | None, int, str, bool, str | None]
"""slot, generation, pid, state, calls, memory in bytes, sessions, breaker, tainted, device"""

_SessionRow: TypeAlias = tuple[
    str,
    tuple[int, int] | None,
    int,
    int,
    int,
    float,
    float,
    float | None,
    float | None,
    dict[str, Any],
]
"""id, slot and generation of its worker, generation, calls, calls inside, seconds since it was
opened, seconds since it was used, ttl, seconds left of that, metadata"""

@final
class Session:
    """A session of one pool: an id, an affinity, and the home it was bound to first."""

    @property
    def id(self) -> str: ...
    @property
    def generation(self) -> int: ...  # 0: not bound yet
    @property
    def closed(self) -> bool: ...  # or expired, as far as that is known
    def with_affinity(self, affinity: str) -> Session: ...

@final
class Reply:
    """A call under way. Nothing of it touches the interpreter until it is asked.

    Dropping it does not cancel the call. Any number of threads may ask, any number of times, and
    all get the same object.
    """

    def done(self) -> bool: ...
    def running(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def cancel(self) -> bool:
        """True: given up, and ``done()`` and ``cancelled()`` hold already. False: it has ended."""
    def result(self, timeout: float | None = None) -> Any: ...  # TimeoutError when still running
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """``None`` for a call that returned; raises ``Cancelled`` for one that was given up.

        Does not decode a result. Raises nothing else once the call is done.
        """
    def watch(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once when done, on the callback thread (at once there if done)."""

@final
class Inbox:
    """Completions for one asyncio loop: an eventfd that becomes readable, and a drain."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def drain(self) -> None:
        """Set result or exception on every asyncio future whose call ended and that is not done."""
    def close(self) -> None:
        """Cancel the calls that still run and forget their futures. Idempotent, from any thread."""

@final
class Chunks:
    """Reader of one stream."""

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def next_async(self, inbox: Inbox, future: AsyncioFuture[Any]) -> bool:
        """Complete ``future`` with the next item, or with StopAsyncIteration at the end.

        True: it is done already, no need to wait.
        """
    def expire(self) -> None:
        """End the call with ``CallTimeout``, which the next item will raise: nothing came."""
    def close(self) -> None:
        """Cancel the call; idempotent, waits for nothing. A later ``next`` is the stream's end."""

_Tool: TypeAlias = tuple[str, str, bool, str, bool]
"""name, description, streams, JSON schema of the parameters, may overlap with itself"""

@final
class Arguments:
    """Encoded arguments that have been checked; a call takes them in the place of a mapping."""

def check_arguments(schema: str, arguments: bytes) -> tuple[str, str, str, str] | None:
    """What is wrong with encoded arguments: parameter, path, expected, got."""

@final
class Pool:
    """Engine of one pool. Starts its workers at once and does not wait for them.

    Errors are built as ``getattr(snakepit.errors, name)(message, **fields)``, those of a tool by
    ``snakepit.errors.remote_error``. The message is one line: the classes themselves add traceback
    and stderr to their text. A field ``worker`` is given as the tuple (pool, slot, generation).
    """

    def __new__(cls, config: _PoolConfig) -> Self: ...
    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Session | None,
        timeout: float | None,
        idempotent: bool,
        retry: RetryPolicy | None = None,
        within: HostCall | None = None,  # from inside which call of a host tool it is made
        origin: object = None,  # what its host tools find at HostCall.origin
        trace: tuple[str, str] | None = None,  # which span it is: traceparent, tracestate
    ) -> Any: ...
    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Session | None,
        timeout: float | None,
        idempotent: bool,
        retry: RetryPolicy | None = None,
        within: HostCall | None = None,  # from inside which call of a host tool it is made
        origin: object = None,  # what its host tools find at HostCall.origin
        trace: tuple[str, str] | None = None,  # which span it is: traceparent, tracestate
    ) -> Reply: ...
    def execute_async(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Session | None,
        timeout: float | None,
        idempotent: bool,
        inbox: Inbox,
        future: AsyncioFuture[Any],
        retry: RetryPolicy | None = None,
        within: HostCall | None = None,  # from inside which call of a host tool it is made
        origin: object = None,  # what its host tools find at HostCall.origin
        trace: tuple[str, str] | None = None,  # which span it is: traceparent, tracestate
    ) -> Reply: ...
    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Session | None,
        timeout: float | None,
        idle_timeout: float | None,
        within: HostCall | None = None,
        origin: object = None,
        trace: tuple[str, str] | None = None,
    ) -> Chunks: ...
    def session(self, session_id: str, affinity: str | None) -> Session:
        """Whichever session is open under that id when a call is made, or a new one."""
    def open_session(
        self,
        session_id: str,
        affinity: str | None,
        ttl: float | None,
        metadata: Mapping[str, Any] | None,
    ) -> Session:
        """Open a session, or join the one that is open under that id.

        ``ttl`` in seconds, infinity: no limit; ``None``: as the pool says, or as it was opened.
        """
    def end_session(self, session: Session) -> bool:
        """Close the very session that ``session`` opened. False: it has ended."""
    def close_session(self, session_id: str) -> bool: ...
    def sessions(self) -> list[_SessionRow]: ...
    def session_info(self, session_id: str) -> _SessionRow | None: ...
    def put(self, value: object) -> SharedRef:
        """Keep a value in the pool's memory."""

    def room(self, nbytes: int) -> Room | None:
        """Room for so many bytes; ``None``: the pool has no shared memory."""

    def register_tool(
        self,
        queue: HostQueue,
        tool: Any,  # found at HostCall.tool
        name: str,
        session: str | None,
        description: str,
        timeout: float | None,
        streaming: bool,
    ) -> None:
        """Have calls of that name wait in ``queue``; ConfigError for a name that cannot be."""
    def unregister_tool(self, name: str, session: str | None) -> bool: ...
    def host_tools(self) -> list[_HostTool]: ...
    def stats(self) -> _Stats: ...
    def metrics(self) -> Metrics: ...
    def workers(self) -> list[_Worker]: ...
    def info(self) -> _Info: ...
    def health(self) -> _Health: ...
    def monitor(self, monitor: HealthMonitor) -> None:
        """Tell it of crashes from now on, as long as somebody else holds it."""
    @property
    def knows_tools(self) -> bool: ...  # a worker has been ready
    def tools(self, timeout: float | None) -> list[_Tool]:
        """Wait for the first worker; StartError (also after ``timeout``) or PoolClosed."""
    def checked(
        self, tool: str, args: Mapping[str, Any] | None, timeout: float | None, wait: bool
    ) -> tuple[Arguments, float | None]:
        """Arguments that are what the tool's schema says; ArgumentError where they are not.

        Where no worker has been ready yet, ``wait`` for one, on the call's time (what is left of it
        comes back; CallTimeout), or StartError.
        """
    def await_ready(self, timeout: float | None) -> None:
        """Wait until every slot is ready; StartError (also after ``timeout``) or PoolClosed."""
    def set_telemetry(self, worker: int | None, wanted: tuple[float, list[str], list[str]]) -> None:
        """Which events of adapters are wanted from now on, of one worker or of all; see
        ``snakepit.TelemetryFilter``."""
    def recycle(self, slot: int, generation: int | None) -> bool:
        """Replace the worker; False: that generation fills the slot no more. Waits for nothing."""
    def close(self, drain: float) -> None:
        """Admit nothing more, let calls end for ``drain`` seconds, cancel the rest, stop workers.

        Bounded: ``drain``, the grace (5 s of it at most) and some four seconds. Idempotent. A
        KeyboardInterrupt meanwhile kills the workers at once and is raised again.
        """
    def kill(self) -> None:
        """Close without patience: kill the workers, wait a second at most until they are gone."""
    @property
    def closed(self) -> bool: ...
    @property
    def forked(self) -> bool: ...  # this process is not the one that made the pool

_HostTool: TypeAlias = tuple[str, str | None, str, float | None, bool]
"""name, session, description, timeout, whether it streams"""

@final
class HostQueue:
    """Calls of host tools that wait for a thread of Python's."""

    def __new__(cls, max_threads: int) -> Self: ...
    def wants_thread(self) -> bool:
        """Whether a thread must be started, which is counted then: there is none."""
    def no_thread(self) -> None:
        """A thread that was counted could not be started."""
    def next(self, limit: float) -> tuple[HostCall, bool] | None:
        """Wait for a call; with it, whether one more thread must be started, which is counted.

        ``None``: the thread shall end, since nothing came for so long or the queue is closed.
        """
    def close(self) -> None:
        """Take no more calls, fail those that wait, let idle threads go."""

@final
class HostCall:
    """One call of a host tool. Dropped without an answer, it has failed."""

    @property
    def tool(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def caller(self) -> str: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def depth(self) -> int: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def origin(self) -> Any: ...
    @property
    def trace(self) -> tuple[str, str] | None:
        """``traceparent`` and ``tracestate`` of the span inside of which the worker asks."""

    def remaining(self) -> float | None: ...
    def arguments(self) -> dict[str, Any]:
        """Its keywords, once."""
    def on_cancel(self, callback: Callable[[], object]) -> int:
        """Have it called once, on another thread, when nobody waits any more.

        The number takes it back.
        """
    def forget(self, token: int) -> None: ...
    def succeed(self, value: Any) -> bool:
        """Answer with a value; False: nobody waits. EncodeError: it cannot travel.

        Where it is large this waits until the worker has mapped the memory in which it lies.
        """
    def fail(self, report: Report) -> bool:
        """Answer with what was raised; False: nobody waits."""
    def try_send(self, item: Any) -> bool | None:
        """Send an item of a stream; None: not yet, for want of room or of memory mapped."""
    def send(self, item: Any) -> bool:
        """The same, and wait for room. False: nobody waits any more."""
    def end(self) -> bool: ...

def cleanup(
    folders: Sequence[str | PathLike[str]] | None,
) -> tuple[list[int], list[int], list[int], int]:
    """End what killed hosts of this user left: hosts, ended, refused (pids), folders removed.

    Looks in ``folders``, or wherever run folders are made.
    """

def end_by(signal: int) -> None:
    """End this process as the default action of ``signal`` does, from any thread."""

class _BreakerStats(TypedDict):
    """What is counted is written at ``snakepit._breaker.BreakerStats``."""

    state: Literal["closed", "open", "half_open"]
    failures: int
    calls: int
    probes: int
    total_successes: int
    total_failures: int
    total_refused: int
    total_opened: int

@final
class CircuitBreaker:
    """Refuses calls after calls have failed. ``ConfigError`` for limits out of range."""

    def __new__(
        cls,
        failure_threshold: int,
        reset_timeout: float,
        half_open_max_calls: int,
        window: int | None,  # None: failures in a row
        minimum_calls: int,
        failure_rate: float,
    ) -> Self: ...
    def acquire(self) -> Permit | float:
        """The right to make one call, or the seconds after which asking again can help."""
    def allows(self) -> bool: ...
    @property
    def state(self) -> Literal["closed", "open", "half_open"]: ...
    def reset(self) -> None: ...
    def stats(self) -> _BreakerStats: ...

@final
class Permit:
    """The first verdict counts; dropped without one it says nothing and frees its place."""

    def success(self) -> None: ...
    def failure(self) -> None: ...
    def release(self) -> None: ...

@final
class RetryBudget:
    """A token bucket; ``ConfigError`` where a retry is free or never affordable."""

    def __new__(cls, capacity: int, retry_cost: int, deposit: int) -> Self: ...
    @property
    def tokens(self) -> int: ...

@final
class RetryPolicy:
    """When a call that failed is made again. ``ConfigError`` for figures that make no sense."""

    def __new__(
        cls,
        max_attempts: int,
        pauses: Sequence[float] | None,  # None: exponential
        exponential: tuple[float, float, float],  # base, max, multiplier
        jitter: str,  # "full" | "equal" | "none"
        idempotent: bool,
    ) -> Self: ...
    def begin(self, timeout: float | None, budget: RetryBudget | None) -> Attempts: ...

@final
class Attempts:
    """The attempts of one call."""

    def failed(self, retriable: bool, may_have_run: bool, retry_after: float | None) -> float | str:
        """Seconds to pause before the next attempt, or why there is none.

        ``"not_retriable"``, ``"may_have_run"``, ``"attempts"``, ``"deadline"`` or ``"budget"``.
        """
    def succeeded(self) -> None: ...
    @property
    def made(self) -> int: ...  # attempts that failed

class _HealthStats(TypedDict):
    """What is counted is written at ``snakepit._health.HealthStats``."""

    healthy: bool
    total_crashes: int
    recent_crashes: int
    workers_with_crashes: int
    reasons: dict[str, int]
    recent_reasons: dict[str, int]

@final
class HealthMonitor:
    """Crashes within a window. ``ConfigError`` for limits out of range."""

    def __new__(cls, max_crashes: int, crash_window: float, max_worker_crashes: int) -> Self: ...
    def record_crash(self, worker: str, reason: str) -> None: ...
    @property
    def healthy(self) -> bool: ...
    def worker_health(self, worker: str) -> tuple[bool, int, float | None]:
        """Healthy, crashes in the window, seconds since the last one."""
    def stats(self) -> _HealthStats: ...

# --- telemetry ----------------------------------------------------------------------------------

TELEMETRY_EVENTS: tuple[str, ...]  # Names of all events that pools tell by themselves.

@final
class Subscription:
    """Events of all pools of this process, for one ``EventReader``."""

    def __new__(cls, room: int) -> Self:
        """It wants nothing yet.

        ``room``: events that a batch has at most; the oldest make room. So many of a thread's may
        wait.
        """

    def want(self, names: Sequence[str]) -> None:
        """Hear events of these names, and no others; ``"snakepit.python."``: those of adapters."""

    def hurry(self) -> int:
        """Have the reader gather no longer; the number of its batch, from 1 on."""

    def close(self) -> None:
        """Hear nothing more. What waits can still be taken."""

    @property
    def dropped(self) -> int:
        """Events that made room for later ones."""

@final
class EventReader:
    """Events, made as they are read: name, measurements, metadata. For one thread.

    Its length is what is left of a batch.
    """

    def __new__(cls, subscription: Subscription) -> Self: ...
    def wait(self, gather: float) -> bool:
        """Wait for an event, and take those as well that follow it within ``gather`` seconds.

        When there are hundreds it waits no longer. Where events were dropped,
        ``"snakepit.telemetry.dropped"`` is the last one. ``False``: the subscription is closed, and
        all was taken.
        """

    def __len__(self) -> int: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Its dicts are given once more with a later event, unless somebody has kept them."""

    def ahead(self) -> str | None:
        """The name of the next event; ``None``: the batch is over. So is a run."""

    def run(self, routes: dict[str, Any], attached: object, most: int) -> Self:
        """Itself, ending before the first event whose route does not begin with ``attached``.

        And after so many events, and where ``Subscription.want`` was called since the last look
        ``ahead``.
        """

    @property
    def latest(self) -> str | None:
        """The name of the event that was read last."""

_SpanRow: TypeAlias = tuple[
    bytes,  # its id, as whoever began it knows it
    bytes | None,  # of what it is inside of; None: the call's own
    str,
    int,  # when it began, in nanoseconds since the epoch
    int | None,  # when it ended; None: it has begun
    dict[str, str | int | float | bool],
    int,  # 0: nothing is said of how it went, 1: well, 2: not
    str | None,  # and why
]

@final
class SpanQueue:
    """Spans of traced calls of all pools that have it, for one thread."""

    def __new__(cls, room: int) -> Self:
        """``room``: records that wait at most; of more, the newest are dropped."""

    def wait(self, gather: float) -> bool:
        """Wait for the first one, and ``gather`` seconds more. False: it is closed."""

    def take(self) -> list[_SpanRow]:
        """All that wait, in the order in which they were told."""

    def close(self) -> None: ...
    @property
    def dropped(self) -> int:
        """Records for which there was no room."""

def hears(name: str) -> bool:
    """Whether anybody in this process wants to hear of such events."""

def tell(
    name: str, measurements: dict[str, int | float], metadata: dict[str, str | int | float | bool]
) -> None:
    """Tell an event that is no native pool's."""

def deliver_logs() -> None:
    """Wait until what was told before this call has reached its handlers, 2 seconds at most."""

def log_to(handler: Callable[[list[tuple[str, str, str, None]]], object], level: str) -> None:
    """Have ``handler`` get the core's own events of ``level`` and above (``"none"``: none of them),
    as lists of category, level and text, on the thread of callbacks. The first handler stays."""

def leave() -> None:
    """For the interpreter's exit: run queued callbacks, end their thread, let no thread back in."""

# --- worker -------------------------------------------------------------------------------------

_Failure: TypeAlias = tuple[str, str, str]
"""type name, message, traceback text"""

def become_worker() -> None:
    """Turn this fresh ``python -S`` into a shim and its worker; returns in the worker only."""

def become_program(command: list[str]) -> None:
    """Become another program, which finds the control socket at descriptor 0.

    Returns never; raises OSError where it cannot be run.
    """

def report_boot_error(message: str) -> None:
    """Tell the host why this worker cannot start, over the control socket."""

class _Start(TypedDict):
    sys_path: list[str]
    bridge_path: str

def start_message() -> _Start:
    """What the host sent over the control socket; blocks until it is there."""

class _Initialize(TypedDict):
    adapter_kind: str  # "module" | "script" | "main_module"
    adapter_location: str
    adapter_qualname: str
    arguments: dict[str, Any]
    pool: str
    slot: int
    generation: int
    device: str | None
    profile: str
    capacity: int
    thread_safety_checks: bool

@final
class Call:
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
    def session_generation(self) -> int: ...
    def session_metadata(self) -> dict[str, Any]: ...
    def session_state(self) -> dict[str, Any]: ...
    @property
    def cancelled(self) -> bool: ...
    def remaining(self) -> float | None:
        """Seconds to the deadline, 0.0 when it has passed, None when there is none."""
    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        """Have ``callback`` called once, on another thread, when the host cancels this call.

        Called at once if that has happened. ``None`` takes it back.
        """
    @property
    def trace(self) -> tuple[str, str, bytes] | None:
        """``traceparent``, ``tracestate``, and the id of the span of this execution, empty where
        nobody records the trace. ``None``: the call is not traced.
        """

    def ask_host(
        self,
        name: str,
        arguments: Mapping[str, Any],
        streaming: bool,
        span: bytes | None = None,
    ) -> HostReply:
        """Ask the host to run one of its tools; from any thread, while this call runs.

        ``span``: the id of the one inside of which it is asked. Default: that of this execution.

        RuntimeError: the call has ended, or too many are under way.
        """

@final
class HostReply:
    """A host tool that was asked for."""

    def wait(self) -> None:
        """Block until an item or the end is here."""
    def watch(self, callback: Callable[[], object]) -> bool:
        """Have it called once, on another thread, when one is; False: one is here."""
    def take(self) -> tuple[str, Any] | None:
        """What comes next, once; ``None``: nothing is here.

        ``("item", value)``, then the end: ``("value", value)``, ``("end", None)`` of a stream,
        ``("failure", (kind, report, suggestions, size, limit))``, or ``("gone", None)`` where the
        host is.
        """
    def close(self) -> None:
        """Nobody waits for it any more."""

@final
class Line:
    """The worker's native end of the line."""

    @property
    def initialize(self) -> _Initialize: ...
    @property
    def telemetry(self) -> Telemetry | None:
        """Where what the adapter tells is left for the host; None: it wants none, ever."""
    def substitute_by(self, substitute: Callable[[Any], Any]) -> None:
        """From now on what cannot travel in a result is sent as what ``substitute`` makes of it."""
    def ready(
        self,
        tools: Sequence[tuple[str, str, bool, str, bool]],
        gil: tuple[bool, str | None] | None = None,  # is the lock on? for which module?
    ) -> None:
        """Tell name, description, whether it streams, the schema of its parameters and whether it
        may overlap with itself, of each.

        ValueError: that is more than a frame holds.
        """
    def report(self, topic: str, text: str, gil: tuple[bool, str | None] | None = None) -> None:
        """Tell people something about this worker, from any thread."""
    def jobs(
        self,
        tools: Mapping[str, tuple[Callable[..., Any], bool]],
        current: ContextVar[Call | None],
        describe: Callable[[type[BaseException], BaseException, TracebackType | None], _Failure],
        suggest: Callable[[str], list[str]],
    ) -> Jobs:
        """The calls that the host sends, for threads or tasks that run several at once."""
    def drive(self, jobs: Jobs) -> bool:
        """Hand out calls on this thread until the host drains and all are answered (True), or the
        line ends (False)."""
    def start_failed(self, failure: _Failure, adapter_source: bool, permanent: bool) -> None:
        """Report and flush; the host then stops this worker."""
    def serve(
        self,
        tools: Mapping[str, tuple[Callable[..., Any], bool]],
        current: ContextVar[Call | None],
        describe: Callable[[type[BaseException], BaseException, TracebackType | None], _Failure],
        suggest: Callable[[str], list[str]],
    ) -> bool:
        """Run calls on this thread until the host drains (True) or the line ends (False).

        ``tools`` maps a name to a plain callable and whether it returns an iterator of chunks;
        coroutines have been wrapped by the SDK. KeyboardInterrupt and SystemExit raised by a tool
        are failures like any other.
        """

@final
class Telemetry:
    """Where the SDK leaves what is for the host; see ``snakepit_bridge._native.Outlet``."""

    @property
    def version(self) -> int: ...
    def wanted(self) -> tuple[bool, float, list[str], list[str]]: ...
    def event(
        self,
        name: str,
        time_ns: int,
        measurements: dict[str, float],
        metadata: dict[str, str | float | bool],
        correlation_id: str,
        call_id: int,
    ) -> None: ...
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
    ) -> None: ...

@final
class Jobs:
    """The calls that the host sent and nobody has taken up; see ``snakepit_bridge._native``."""

    def get(self) -> Job | None: ...
    def get_nowait(self) -> Job | None: ...
    def next_end(self) -> int | None:
        """Wait for the end of a session: its number; None: no more are told of.

        No call is taken up until ``ended``.
        """
    def ended(self) -> None:
        """What ``next_end`` gave is done with."""
    def fileno(self) -> int: ...

@final
class Job:
    """A call that was taken up."""

    @property
    def call(self) -> Call: ...
    @property
    def tool(self) -> str: ...
    @property
    def streams(self) -> bool: ...
    def begin(self) -> tuple[Callable[..., Any], dict[str, Any]] | None: ...
    def reply(self, value: Any) -> None: ...
    def fail(self, error: BaseException) -> None: ...
    def room(self) -> bool | None: ...
    def wait_for_room(self) -> bool: ...
    def add(self, item: Any) -> None: ...
    def end(self) -> None: ...
    def stop(self, error: BaseException | None = None) -> None: ...

def attach(bridge_version: str) -> Line:
    """Dial the host, say hello, wait for Initialize."""
