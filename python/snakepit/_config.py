"""A pool's configuration: every parameter checked, every default filled in.

What is wrong fails here, before any process starts, and names its field. The engine reads the
result by attribute (``_core.pyi``, ``_PoolConfig``). Not here: checks of one value (``_checks``),
what a worker may import (``_interpreter``), its environment (``_environ``), the way to its adapter
(``_source``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from snakepit import _logs
from snakepit._checks import choice, pool_name, positive
from snakepit._duration import UNSET, interval, lifetime, limit, seconds
from snakepit._environ import told, worker_environment
from snakepit._interpreter import (
    boot_arguments,
    bridge_directory,
    directories,
    import_path,
    interpreter,
    is_own,
)
from snakepit._source import AdapterSource, Program, adapter_source
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit import _core
    from snakepit._breaker import CircuitBreaker
    from snakepit._duration import Duration, Unset
    from snakepit._environ import BySlot, Environment
    from snakepit._guard import CrashBarrier, WorkerBreaker
    from snakepit._retry import RetryPolicy

AFFINITIES = ("strict_queue", "strict_fail_fast", "hint")
PROFILES = ("process", "thread", "async")
CONTROLS = ("admin", "read", "off")

# Bounds of the engine. A message's length travels in 31 bits, and one of fewer than a kibibyte
# would leave no room for what the line itself has to say.
_MOST_WORKERS = 4096
_MOST_THREADS, _MOST_IN_FLIGHT = 256, 4096
_MOST_WAITING = 2**17 - 1
_MOST_BYTES = 2**63 - 1
_MOST_SESSIONS = 10_000_000
_SMALLEST_MESSAGE, _LARGEST_MESSAGE = 1024, 2**31 - 1
LINES = ("auto", "native", "grpcio")
_OUTPUTS = ("show", "log", "drop")

# The fields of ``WorkerBreaker`` in their order. Written here too, as those of ``Life``.
WORKER_BREAKER: tuple[Any, ...] = (20, 5, 0.5, None, 30.0, False)
# Those of ``SharedMemory``.
SHARED_MEMORY: tuple[Any, ...] = (None, 64 * 1024, 1.0, "inline")


class Life(NamedTuple):
    """How workers live; the fields of ``Heartbeat`` and ``Recycle`` in their order."""

    # Written here too, since a host that says nothing of probes must not import their module.
    heartbeat: tuple[float, float, int, float] | tuple[Any, ...] | None = (2.0, 10.0, 1, 0.0)
    stall_kill: float | None = None
    recycle: tuple[Any, ...] | None = None
    startup_batch_size: int | None = None
    startup_batch_delay: float = 0.0
    max_failed_starts: int = 5
    degraded_retry: float = 30.0
    condemn_drain: float = 30.0

    @classmethod
    def build(
        cls,
        *,
        heartbeat: object,
        stall_kill: Duration | None,
        recycle: object,
        startup_batch_size: int | None,
        startup_batch_delay: Duration,
        max_failed_starts: int,
        degraded_retry: Duration,
        condemn_drain: Duration,
    ) -> Life:
        """Check what a pool is told of its workers' lives.

        Raises:
            ConfigError: A value is wrong.
        """
        life = cls(
            stall_kill=limit("stall_kill", stall_kill),
            startup_batch_size=None
            if startup_batch_size is None
            else positive("startup_batch_size", startup_batch_size, most=_MOST_WORKERS),
            startup_batch_delay=seconds("startup_batch_delay", startup_batch_delay),
            max_failed_starts=positive("max_failed_starts", max_failed_starts, most=2**32 - 1),
            degraded_retry=interval("degraded_retry", degraded_retry),
            condemn_drain=seconds("condemn_drain", condemn_drain),
        )
        if heartbeat is UNSET and recycle is None:
            return life
        from snakepit._life import Heartbeat, Recycle, rule

        if heartbeat is not UNSET:
            life = life._replace(heartbeat=rule("heartbeat", Heartbeat, heartbeat))
        return life._replace(recycle=rule("recycle", Recycle, recycle))


# A named tuple and no dataclass: importing dataclasses costs a host 9 ms of its start.
class PoolConfig(NamedTuple):
    """A checked configuration; see ``Pool`` for the parameters it comes from."""

    name: str
    size: int
    adapter: AdapterSource
    adapter_args: Mapping[str, Any]
    python: str
    arguments: list[str]
    bridge_path: str
    sys_path: list[str]
    env: dict[str, str]
    env_by_slot: dict[str, BySlot]
    devices: list[str]
    """What the slots have in turn; empty: none is assigned."""
    limits: tuple[Any, ...] | None
    max_queue: int
    max_queue_bytes: int
    max_message: int
    start_timeout: float
    grace: float
    affinity: str
    session_ttl: float | None
    max_sessions: int
    worker_output: str
    profile: str
    capacity: int
    """Calls that a worker runs at once."""
    thread_safety_checks: bool
    life: Life
    log_lines: Callable[[list[_core._LogLine]], None]
    """Also where lines are not logged: where a worker was that had to be killed is."""
    log_level: int
    """The least level of the adapters' records that somebody hears."""
    retry: _core.RetryPolicy | None
    circuit_breaker: tuple[_core.CircuitBreaker, bool] | None
    worker_breaker: tuple[Any, ...] | None
    crash_barrier: tuple[float, int] | None
    host_tool_depth: int
    control: str
    """What an operator may do over the operator socket: ``admin``, ``read`` or ``off``."""
    substitute: Callable[[Any], Any] | None
    """What goes in the place of an argument that cannot travel; ``None``: that is an error."""
    unserializable: tuple[str, int, int] | None
    """The same for results, as workers are told it."""
    errors: list[str]
    shared_memory: tuple[Any, ...] | None
    """Bytes at most, threshold, seconds to wait, what then; ``None``: there is none."""
    telemetry: tuple[float, list[str], list[str]]
    """Which events of adapters are sent: as the fields of ``TelemetryFilter``."""
    spans: _core.SpanQueue | None
    """Where the spans of calls go; ``None``: they are not traced."""

    @classmethod
    def build(
        cls,
        adapter: str | type | Program,
        *,
        size: int,
        name: str,
        profile: str,
        threads_per_worker: int | None,
        max_in_flight: int | None,
        thread_safety_checks: bool,
        adapter_args: Mapping[str, Any] | None,
        python: str | PathLike[str] | None,
        pythonpath: Iterable[str | PathLike[str]],
        max_queue: int,
        max_queue_bytes: int,
        max_message: int,
        start_timeout: Duration,
        grace: Duration,
        affinity: str,
        session_ttl: Duration | None,
        max_sessions: int,
        limits: object,
        env: Environment,
        devices: object,
        secrets: Iterable[str],
        worker_output: str,
        life: Life,
        line: str | None,
        inline: bool,
        retry: RetryPolicy | None,
        circuit_breaker: CircuitBreaker | None,
        worker_breaker: WorkerBreaker | Mapping[str, Any] | Unset | None,
        crash_barrier: CrashBarrier | None,
        host_tool_depth: int,
        unserializable: object,
        errors: object,
        shared_memory: object,
        telemetry: object,
        control: str,
        spans: _core.SpanQueue | None,
    ) -> PoolConfig:
        """Check the parameters of a pool.

        Raises:
            ConfigError: A value is wrong.
            AdapterSourceError: No worker could find the adapter's class.
            StartError: The interpreter is missing.
        """
        profile = choice("profile", profile, PROFILES)
        capacity = _capacity(profile, threads_per_worker, max_in_flight)
        if thread_safety_checks:
            _only_for("thread_safety_checks", "thread", profile)
        front = directories(pythonpath)
        if isinstance(adapter, Program):
            _refuse_without_effect(front, line)
        path = interpreter(python, shim=isinstance(adapter, Program))
        workers = positive("size", size, most=_MOST_WORKERS)
        source, bridge = adapter_source(adapter, inline=inline), bridge_directory()
        end = _line(line)
        # Coroutines share one thread.
        threads = workers * capacity if profile == "thread" else workers
        # Read twice.
        hidden = [secrets] if isinstance(secrets, str) else list(secrets)
        variables, by_slot = worker_environment(env, hidden, threads, not is_own(path), front)
        assigned = list[str]()
        if devices is not None:
            from snakepit._devices import assign

            assigned = assign(devices, told(env, hidden), variables, by_slot, inline=inline)
        return cls(
            name=pool_name(name),
            size=workers,
            adapter=source,
            adapter_args=keywords(adapter_args),
            python=path,
            arguments=boot_arguments(bridge, end, source.command),
            bridge_path=bridge,
            sys_path=import_path(path, front),
            env=variables,
            env_by_slot=by_slot,
            devices=assigned,
            limits=_limits(limits),
            max_queue=positive("max_queue", max_queue, most=_MOST_WAITING),
            max_queue_bytes=positive("max_queue_bytes", max_queue_bytes, most=_MOST_BYTES),
            max_message=positive(
                "max_message", max_message, least=_SMALLEST_MESSAGE, most=_LARGEST_MESSAGE
            ),
            start_timeout=seconds("start_timeout", start_timeout),
            grace=seconds("grace", grace),
            affinity=choice("affinity", affinity, AFFINITIES),
            session_ttl=lifetime("session_ttl", session_ttl),
            max_sessions=positive("max_sessions", max_sessions, most=_MOST_SESSIONS),
            worker_output=choice("worker_output", worker_output, _OUTPUTS),
            profile=profile,
            capacity=capacity,
            thread_safety_checks=bool(thread_safety_checks),
            life=life,
            log_lines=_logs.log_lines,
            log_level=_logs.wanted_of_workers(),
            host_tool_depth=positive("host_tool_depth", host_tool_depth, most=1000),
            control=choice("control", control, CONTROLS),
            **_guards(retry, circuit_breaker, worker_breaker, crash_barrier),
            **_values(unserializable, errors),
            shared_memory=_shared_memory(shared_memory),
            telemetry=_telemetry(telemetry),
            spans=spans,
        )


def _capacity(profile: str, threads: int | None, in_flight: int | None) -> int:
    if threads is not None:
        _only_for("threads_per_worker", "thread", profile)
        return positive("threads_per_worker", threads, most=_MOST_THREADS)
    if in_flight is not None:
        _only_for("max_in_flight", "async", profile)
        return positive("max_in_flight", in_flight, most=_MOST_IN_FLIGHT)
    return {"process": 1, "thread": 10, "async": 100}[profile]


def _only_for(field: str, wanted: str, profile: str) -> None:
    if profile != wanted:
        raise ConfigError(f'{field}: only for profile "{wanted}", not for "{profile}"', field=field)


def _guards(
    retry: object, breaker: object, worker_breaker: object, barrier: object
) -> dict[str, Any]:
    if retry is breaker is barrier is None and worker_breaker is UNSET:
        # What they are made of is imported only where there are some.
        return {
            "retry": None,
            "circuit_breaker": None,
            "worker_breaker": WORKER_BREAKER,
            "crash_barrier": None,
        }
    from snakepit import _guard

    return {
        "retry": _guard.retry_policy(retry),
        "circuit_breaker": _guard.circuit_breaker(breaker),
        "worker_breaker": _guard.worker_breaker(worker_breaker),
        "crash_barrier": _guard.crash_barrier(barrier),
    }


def _values(unserializable: object, errors: object) -> dict[str, Any]:
    substitute, results, classes = None, None, list[str]()
    if unserializable != "error":
        from snakepit import _unserializable

        substitute, results = _unserializable.read(unserializable)
    if errors != ():
        from snakepit import _error_classes

        classes = _error_classes.read(errors)
    return {"substitute": substitute, "unserializable": results, "errors": classes}


def _shared_memory(value: object) -> tuple[Any, ...] | None:
    if value is UNSET:
        return SHARED_MEMORY
    if value is None:
        return None
    from snakepit import _shared_memory

    return _shared_memory.read(value)


def _telemetry(value: object) -> tuple[float, list[str], list[str]]:
    if value is UNSET:
        return 1.0, [], []
    from snakepit import _telemetry_filter

    return _telemetry_filter.read(value)


def _limits(limits: object) -> tuple[Any, ...] | None:
    if limits is None:
        return None  # The engine's defaults are those of Limits.
    from snakepit._life import rule
    from snakepit._limits import Limits

    return rule("limits", Limits, limits)


def _line(line: str | None) -> str:
    if line is not None:
        return choice("line", line, LINES)
    try:
        return choice("line", os.environ.get("SNAKEPIT_LINE") or "auto", LINES)
    except ConfigError as error:
        # Nobody wrote a keyword: name what was written.
        said = f"SNAKEPIT_LINE: {str(error).removeprefix('line: ')}"
        raise ConfigError(said, field="line", suggestion=error.suggestion) from None


def _refuse_without_effect(pythonpath: list[str], line: str | None) -> None:
    if pythonpath:
        raise ConfigError(
            "pythonpath: a Program finds its modules itself; where it is a Python, give it "
            'env={"PYTHONPATH": …}',
            field="pythonpath",
        )
    if line is not None:
        raise ConfigError("line: a Program has its own end of the line", field="line")


def keywords(adapter_args: object) -> dict[str, Any]:
    """Return a copy of the adapter's ``__init__`` keywords."""
    if adapter_args is None:
        return {}
    if not isinstance(adapter_args, Mapping):
        raise ConfigError(
            f"adapter_args: a mapping of keywords is needed, not {adapter_args!r}",
            field="adapter_args",
        )
    for key in adapter_args:
        if not (isinstance(key, str) and key.isidentifier()):
            raise ConfigError(
                f"adapter_args: {key!r} is no keyword of __init__", field="adapter_args"
            )
    return dict(adapter_args)
