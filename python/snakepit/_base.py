"""What ``Pool`` and ``AsyncPool`` share: parameters, counters, workers, sessions, the end.

A face holds an engine and no state of its own about calls: queue, workers, deadlines and sessions
are the engine's. Here values are checked and turned into what the engine takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self

from snakepit import _core, _exit, _logs, _nesting, _sigterm
from snakepit._checks import flag, refuse_surrogates, refuse_unknown
from snakepit._config import Life, PoolConfig
from snakepit._duration import UNSET, limit, seconds
from snakepit._inspecting import IsInspected
from snakepit._memory import HasMemory
from snakepit._registering import RegistersTools
from snakepit._sessions import HasSessions
from snakepit._source import Program
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from types import CodeType

    from snakepit._breaker import CircuitBreaker
    from snakepit._duration import Duration, Unset
    from snakepit._engine import Engine
    from snakepit._environ import Environment
    from snakepit._guard import CrashBarrier, WorkerBreaker
    from snakepit._life import Heartbeat, Recycle
    from snakepit._limits import Limits
    from snakepit._retry import RetryPolicy
    from snakepit._shared_memory import SharedMemory
    from snakepit._telemetry_filter import TelemetryFilter
    from snakepit._unserializable import Unserializable

Affinity = Literal["strict_queue", "strict_fail_fast", "hint"]
"""How strictly the calls of a session keep to its worker; see ``Pool.session``."""


class PoolBase(IsInspected, HasSessions, HasMemory, RegistersTools):
    """A pool of worker processes with one adapter. Use ``Pool`` or ``AsyncPool``.

    Args:
        adapter: The adapter's class, or where it is: ``"module:Class"``. Or a ``Program``, for
            workers in another language.
        size: Number of workers, from 1 to 4096.
        name: Name of the pool in errors, logs and process lists.
        profile: What runs a worker's calls. ``"process"``: one at a time, on its main thread.
            ``"thread"``: ``threads_per_worker`` at once, each on a thread of its own, coroutines on
            one loop; the adapter's class must say ``__thread_safe__ = True``. ``"async"``:
            ``max_in_flight`` at once, as tasks of one loop, where tools that are no coroutines run
            too. See ``docs/profiles.md``.
        threads_per_worker: Calls that a worker of the thread profile runs at once, from 1 to 256.
            Default: 10.
        max_in_flight: Calls that a worker of the async profile runs at once, from 1 to 4096.
            Default: 100.
        thread_safety_checks: Workers of the thread profile report, in their output and in
            ``info()``, tools that overlap without ``@thread_safe_method`` and attributes of the
            adapter that are set without ``acquire_lock()``.
        condemn_drain: Seconds that the other calls of a worker get which runs several at once and
            did not let go of one; then it is ended. Its replacement starts at once.
        adapter_args: Keywords of the adapter's ``__init__``.
        python: The workers' interpreter: a file, a name in ``PATH`` or the directory of a virtual
            environment. Default: this process's own. The shim of a ``Program`` runs in it too.
        pythonpath: Directories that workers search first for modules. Behind them comes what this
            process sees (its ``sys.path``), or with ``python=`` what that interpreter brings. Not
            for a ``Program``.
        timeout: Seconds that a call may take, waiting included, unless the call says otherwise;
            ``None``: no limit.
        stream_timeout: The same for whole streams. Default: no limit.
        idle_timeout: Seconds from one chunk of a stream to the next, unless the call says
            otherwise; ``None``: no limit.
        validate_arguments: Hold the arguments of calls against the tool's schema before they are
            sent, unless the call says otherwise: ``ArgumentError`` names the parameter. See
            ``tools()``.
        max_queue: Calls that may wait for a worker, from 1 to 131071; one more raises
            ``QueueFull``.
        max_queue_bytes: Bytes of arguments that may wait; one call may, whatever its size.
        max_message: Bytes of one encoded argument map, result or chunk, from 1 KiB to 2 GiB.
        start_timeout: Seconds that a worker may take until its ``initialize()`` has returned, all
            tries until then together; not counting what it waits for its turn to start.
        drain_timeout: Seconds that calls under way get when the pool is closed. Then they are
            cancelled, and closing ends within ``grace`` (5 at most) and some four seconds more.
        grace: Seconds between asking a call to stop and ending its worker.
        affinity: Default for sessions; see ``session()``.
        session_ttl: Seconds that a session may be unused, unless it says otherwise; ``None``: until
            it is closed.
        max_sessions: Sessions that may be open at once, from 1 to 10,000,000; one more raises
            ``SessionQuotaExceeded``.
        heartbeat: When workers are asked for signs of life: a ``Heartbeat``, or ``None``: never.
            One that does not answer is *stalled*: it gets no new calls, and is not killed for it.
            Default: after 2 s without progress, and 10 s to answer.
        stall_kill: Seconds after which a stalled worker is killed; ``None``: only a call's deadline
            kills.
        recycle: When workers are replaced by fresh ones: a ``Recycle``, or ``None``: never.
        startup_batch_size: So many workers start at once, also after many died; ``None``: all.
        startup_batch_delay: Seconds from one start that is through to the next one in its place.
        max_failed_starts: So many failed starts in a row, and a slot is *degraded*: it is tried
            again only each ``degraded_retry`` seconds. When all slots are, calls raise
            ``StartError`` with the reason.
        degraded_retry: Seconds between two tries of a degraded slot; at least 0.01.
        limits: What each worker may take of the machine: a ``Limits``. Default: no core files, no
            new privileges, and the kernel's first choice where memory runs out.
        env: Environment of the workers. ``"inherit"``: this process's. ``"strict"``: only what
            names paths, language, devices and thread counts. A mapping: inherited, with these set
            (or removed, where the value is ``None``). Both in a tuple: ``("strict", {...})``.
            ``{slot}`` in a value stands for the worker's place in the pool, from 0, and
            ``{{name}}`` for ``{name}``; a list of values is had by the places in turn. A worker
            that replaces another has its place. So ``{"CUDA_VISIBLE_DEVICES": "{slot}"}`` gives
            each worker a GPU, and ``["0", "1"]`` shares out two. ``SNAKEPIT_*`` is not
            inherited, and may not be given.
            Thread counts of numeric libraries that nobody has set become cores / ``size``, in the
            thread profile cores / (``size`` x ``threads_per_worker``).
        devices: Devices that the workers have in turn, as ``["cuda:0", "cuda:1"]``: each sees its
            own alone (by ``CUDA_VISIBLE_DEVICES``, ``ROCR_VISIBLE_DEVICES`` and
            ``HIP_VISIBLE_DEVICES``), and finds it as ``self.worker.device``. ``"rocm:0"``,
            ``"cpu"``, a ``hardware.Device`` and the UUID of a device or of a MIG instance are such
            names, too. They are the ones that this process sees. Default: all workers see them all.
        secrets: Names of variables that workers do not get.
        worker_output: What workers print: ``"show"`` on this process's stderr with the worker's
            name in front, ``"log"`` to the logger ``snakepit.worker``, or ``"drop"``.
        line: The workers' end of the line. ``"native"``: the compiled one; nothing needs to be
            installed for it. ``"grpcio"``: pure Python (from 3.10), slower; it needs grpcio,
            msgpack and protobuf. ``"auto"``: the native one where the interpreter can load it,
            else the other. Default: the environment's ``SNAKEPIT_LINE``, else ``"auto"``. Not for
            a ``Program``.
        inline: Run the adapter in this process, on the caller's thread: for debuggers and tests.
        handle_sigterm: What SIGTERM means while the pool is open. ``"auto"``: no new calls, those
            under way get ``drain_timeout`` (20 seconds at most), the rest is cancelled, and within
            25 seconds the process ends as by SIGTERM; not where the program has its own handler, or
            makes the pool on another thread than the main one. ``True``: the same, and
            ``ConfigError`` where it cannot be. ``False``: the process ends at once, and its workers
            with it.
        retry: When a call whose worker died is made again, unless the call says otherwise; only
            idempotent ones are, and all retries of a pool are paid for from one budget (500
            tokens, 14 a retry, 1 back a success). Default: once, at once. A call that waits for
            its retry counts against ``max_queue`` and ``max_queue_bytes``.
        circuit_breaker: Refuses calls with ``CircuitOpen`` while the pool fails. Default: none.
        worker_breaker: Leaves a slot whose workers keep dying out for a while, never more than half
            of them: a ``WorkerBreaker``, or ``None``: never. Default: when half of the last 20
            calls there failed, of 5 at least, for 30 s.
        crash_barrier: Prefers other workers to one in the place of which one crashed. Default:
            none.
        host_tool_depth: So many host tools may run inside each other, each called by a call that
            the one before made, from 1 to 1000; see ``register_tool``.
        unserializable: What becomes of a value that cannot travel. ``"error"``: an ``EncodeError``
            with its path. ``"marker"``: what the value says itself (``model_dump()``,
            ``to_dict()``, …), else a dict that names its type. An ``Unserializable`` says more.
        errors: Classes of exceptions, each itself or as ``"module:Class"``. What a tool raises of
            them, or of a class derived from one, arrives as an error that is a ``RemoteError`` and
            of that class. Its ``__init__`` is not called; a method ``__snakepit_restore__`` that
            it has gets the exception's arguments, which are ``error.remote_args`` in any case.
        shared_memory: How arrays, tables and other large values travel: a ``SharedMemory``, or
            ``None``: over the line as all else. Default: in shared memory from 64 KiB on.
        telemetry: Which events of adapters reach the host, of those that somebody listens to: a
            ``TelemetryFilter``. Default: all. ``set_telemetry`` changes it.
        opentelemetry: Make calls spans of the traces that they are a part of: ``True``, or
            ``{"enabled": True}``; needs ``pip install 'snakepit-pool[otel]'``. Whoever has set up
            an OpenTelemetry SDK exports them. See ``docs/opentelemetry.md``.
        control: What ``snakepit status``, ``stack`` and ``recycle`` may do to the pool from
            outside, as processes of the same user. ``"admin"``: all of it; ``"read"``: look at it;
            ``"off"``: they do not see it. See ``docs/operating.md``.

    Raises:
        ConfigError: A value is wrong; ``error.field`` tells which.
        AdapterSourceError: No worker could find the adapter's class.
        StartError: The interpreter does not exist.
    """

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        # Before Python finds that "size" is missing: it was misspelt, most likely.
        refuse_unknown(keywords.keys() - _PARAMETERS - {"adapter"}, _PARAMETERS)
        return super().__new__(cls)

    def __init__(
        self,
        adapter: str | type | Program,
        *,
        size: int,
        name: str = "default",
        profile: Literal["process", "thread", "async"] = "process",
        threads_per_worker: int | None = None,
        max_in_flight: int | None = None,
        thread_safety_checks: bool = False,
        condemn_drain: Duration = 30.0,
        adapter_args: Mapping[str, Any] | None = None,
        python: str | PathLike[str] | None = None,
        pythonpath: Iterable[str | PathLike[str]] = (),
        timeout: Duration | None = 300.0,
        stream_timeout: Duration | None = None,
        idle_timeout: Duration | None = 300.0,
        validate_arguments: bool = False,
        max_queue: int = 1000,
        max_queue_bytes: int = 256 * 1024 * 1024,
        max_message: int = 256 * 1024 * 1024,
        start_timeout: Duration = 60.0,
        drain_timeout: Duration = 30.0,
        grace: Duration = 2.0,
        affinity: Affinity = "strict_queue",
        session_ttl: Duration | None = 3600.0,
        max_sessions: int = 10_000,
        heartbeat: Heartbeat | Mapping[str, Any] | Unset | None = UNSET,
        stall_kill: Duration | None = None,
        recycle: Recycle | Mapping[str, Any] | None = None,
        startup_batch_size: int | None = None,
        startup_batch_delay: Duration = 0.0,
        max_failed_starts: int = 5,
        degraded_retry: Duration = 30.0,
        limits: Limits | Mapping[str, Any] | None = None,
        env: Environment = "inherit",
        devices: str | Iterable[str | tuple[str, int | None]] | None = None,
        secrets: Iterable[str] = (),
        worker_output: Literal["show", "log", "drop"] = "show",
        line: Literal["auto", "native", "grpcio"] | None = None,
        inline: bool = False,
        handle_sigterm: Literal["auto"] | bool = "auto",
        retry: RetryPolicy | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        worker_breaker: WorkerBreaker | Mapping[str, Any] | Unset | None = UNSET,
        crash_barrier: CrashBarrier | None = None,
        host_tool_depth: int = 50,
        unserializable: Literal["error", "marker"] | Unserializable | Mapping[str, Any] = "error",
        errors: Iterable[str | type[Exception]] = (),
        shared_memory: SharedMemory | Mapping[str, Any] | Unset | None = UNSET,
        telemetry: TelemetryFilter | Mapping[str, Any] | Unset = UNSET,
        opentelemetry: bool | Mapping[str, bool] = False,
        control: Literal["admin", "read", "off"] = "admin",
    ) -> None:
        self._timeout = limit("timeout", timeout)
        self._stream_timeout = limit("stream_timeout", stream_timeout)
        self._idle_timeout = limit("idle_timeout", idle_timeout)
        self._drain_timeout = seconds("drain_timeout", drain_timeout)
        self._validates = flag("validate_arguments", validate_arguments)
        if handle_sigterm not in ("auto", True, False):
            raise ConfigError(
                f'handle_sigterm: "auto", True or False is needed, not {handle_sigterm!r}',
                field="handle_sigterm",
                suggestion="auto",
            )
        spans = None
        if opentelemetry is not False:
            from snakepit import _tracing

            self._tracing = _tracing.read(opentelemetry)
            spans = None if self._tracing is None else self._tracing.queue
        config = PoolConfig.build(
            adapter,
            size=size,
            name=name,
            profile=profile,
            threads_per_worker=threads_per_worker,
            max_in_flight=max_in_flight,
            thread_safety_checks=thread_safety_checks,
            adapter_args=adapter_args,
            python=python,
            pythonpath=pythonpath,
            max_queue=max_queue,
            max_queue_bytes=max_queue_bytes,
            max_message=max_message,
            start_timeout=start_timeout,
            grace=grace,
            affinity=affinity,
            session_ttl=session_ttl,
            max_sessions=max_sessions,
            limits=limits,
            env=env,
            devices=devices,
            secrets=secrets,
            worker_output=worker_output,
            life=Life.build(
                heartbeat=heartbeat,
                stall_kill=stall_kill,
                recycle=recycle,
                startup_batch_size=startup_batch_size,
                startup_batch_delay=startup_batch_delay,
                max_failed_starts=max_failed_starts,
                degraded_retry=degraded_retry,
                condemn_drain=condemn_drain,
            ),
            line=line,
            inline=inline,
            retry=retry,
            circuit_breaker=circuit_breaker,
            worker_breaker=worker_breaker,
            crash_barrier=crash_barrier,
            host_tool_depth=host_tool_depth,
            unserializable=unserializable,
            errors=errors,
            shared_memory=shared_memory,
            telemetry=telemetry,
            control=control,
            spans=spans,
        )
        self._config = config
        if dispatch := sys.modules.get("snakepit._dispatch"):
            dispatch.dispatcher.resume()
        _logs.listen()
        heeds_sigterm = (
            handle_sigterm is not False and not inline and _sigterm.install(handle_sigterm)
        )
        try:
            self._engine: Engine = (
                _inline_engine(config, adapter)
                if inline and not isinstance(adapter, Program)
                else _core.Pool(config)
            )
        except BaseException:
            _sigterm.forget(self)
            raise
        if heeds_sigterm:
            _sigterm.watch(self)
        _exit.open_pools.add(self)

    @classmethod
    def from_config(
        cls,
        name: str | None = None,
        path: str | PathLike[str] | None = None,
        **overrides: Any,
    ) -> Self:
        """Make a pool as it is configured; see ``docs/configuration.md``.

        Args:
            name: Which one, where several pools are configured. Default: the one of the name
                ``default``, or the only one.
            path: The file that configures it, instead of the ``snakepit.toml`` and
                ``pyproject.toml`` that are found upwards from the working directory.
            **overrides: Parameters of this class that count more than file and environment.

        Raises:
            ConfigError: The configuration is wrong, or has no such pool; ``error.source`` tells
                where what is wrong is written.

        Example:
            >>> with snakepit.Pool.from_config(timeout=10) as pool:
            ...     pool.execute("ping")
        """
        from snakepit._settings import settings

        return settings(path, **overrides).pool(name).make(cls)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self.name!r} size={self.size} {state}>"

    def _limit(self, timeout: Duration | Unset | None) -> float | None:
        return self._timeout if timeout is UNSET else limit("timeout", timeout)

    def _stream_limits(
        self, timeout: Duration | Unset | None, idle_timeout: Duration | Unset | None
    ) -> tuple[float | None, float | None]:
        return (
            self._stream_timeout if timeout is UNSET else limit("timeout", timeout),
            self._idle_timeout if idle_timeout is UNSET else limit("idle_timeout", idle_timeout),
        )

    def _more(self, tool: str, retry: RetryPolicy | None) -> tuple[Any, ...]:
        if retry is None and not _nesting.seen:
            return ()
        return self._rare(tool, retry)

    def _rare(self, tool: str, retry: RetryPolicy | None) -> tuple[Any, ...]:
        within = self._within(tool)
        if retry is None:
            return (None, *within) if within else ()
        from snakepit import _guard

        return (_guard.call_policy(retry), *within)

    def _checked(
        self, tool: str, args: Mapping[str, Any] | None, limited: float | None, *, wait: bool = True
    ) -> tuple[Any, float | None]:
        """Arguments that are what the tool's schema says, and what is left of the call's time."""
        try:
            return self._engine.checked(tool, args, limited, wait)
        except UnicodeEncodeError as error:
            refuse_surrogates("tool", tool, error)


def _keywords_only(code: CodeType) -> frozenset[str]:
    first = code.co_argcount
    return frozenset(code.co_varnames[first : first + code.co_kwonlyargcount])


# Not by inspect, which would cost a host milliseconds of its start.
_PARAMETERS = _keywords_only(PoolBase.__init__.__code__)


def _inline_engine(config: PoolConfig, adapter: str | type) -> Engine:
    from snakepit._inline import InlineEngine

    return InlineEngine(config, adapter)
