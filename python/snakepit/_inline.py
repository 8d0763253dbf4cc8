"""The engine of ``inline=True``: the adapter in this process, on the caller's thread.

For debuggers and tests. Values go through the same codec and errors have the same classes as with
workers, so code that passes here meets no surprise there; the exception of a tool is the
``__cause__`` of its ``RemoteError``. What only a process gives is missing: calls run one after
the other, nothing interrupts a call whose deadline has passed, and a crash is this process's.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from snakepit import _core
from snakepit._inline_call import InlineCall, InlineChunks, InlineReply
from snakepit._inline_counts import InlineCounts
from snakepit._inline_error import raised
from snakepit._inline_host import InlineHostTools
from snakepit._inline_outlet import InlineOutlet
from snakepit._inline_sessions import InlineSession, InlineSessions
from snakepit._inline_telling import ToldCall
from snakepit.errors import (
    AdapterSourceError,
    ArgumentError,
    ConfigError,
    EncodeError,
    ForkedPool,
    MessageTooLarge,
    PoolClosed,
    SnakepitError,
    StartError,
    ToolNotFound,
)
from snakepit_bridge._adapter import WorkerInfo
from snakepit_bridge._context import current
from snakepit_bridge._failure import describe
from snakepit_bridge._graceful import Substitute
from snakepit_bridge._interop._part import filled
from snakepit_bridge._lifecycle import LiveAdapter
from snakepit_bridge._report import Reporter
from snakepit_bridge._source import load
from snakepit_bridge._suggest import closest, is_unmarked
from snakepit_bridge.errors import AdapterSourceError as MissingSource

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from snakepit._config import PoolConfig


# Raised by submit itself, since there is no call to speak of; all else is the future's.
_REFUSALS = (ArgumentError, EncodeError, ForkedPool, MessageTooLarge, PoolClosed)


class InlineEngine:
    """One adapter, made at the first call; see ``_core.pyi`` for what each method means."""

    def __init__(self, config: PoolConfig, adapter: str | type) -> None:
        self._config = config
        self._report = Reporter(config.errors)
        results = config.unserializable
        self._substitutes = {
            "request": config.substitute,
            "reply": None if results is None else Substitute(*results),
        }
        self._source = adapter
        self._live: LiveAdapter | None = None
        self._generation = 0
        self._ids = itertools.count(1)
        # A tool may call its own pool; another thread waits for the one call that runs.
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self.counts = InlineCounts()
        self._host = host = InlineHostTools(config.host_tool_depth, self._substitutes)
        self._sessions = InlineSessions(
            config.name, config.session_ttl, config.max_sessions, host.end_session
        )
        self._outlet = InlineOutlet(config.name, config.telemetry)
        self.closed = False

    @property
    def forked(self) -> bool:
        return os.getpid() != self._owner

    # --- calls ----------------------------------------------------------------------------------

    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: InlineSession | None,
        timeout: float | None,
        idempotent: bool,
        retry: _core.RetryPolicy | None = None,
        within: object = None,
        origin: object = None,
        trace: tuple[str, str] | None = None,
    ) -> Any:
        made = time.monotonic()
        with self._lock:
            keywords, told = self._prepared(tool, args, session, trace)
            try:
                bound, call = self._begin(tool, session, timeout, made, told, streams=False)
                try:
                    value = self.outcome(call, lambda: bound(**keywords))
                finally:
                    call.ended()
            except BaseException as error:
                told.ended(error)
                raise
            self.counts.ended(call)
            told.ended()
            return value

    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: InlineSession | None,
        timeout: float | None,
        idempotent: bool,
        retry: _core.RetryPolicy | None = None,
        within: object = None,
        origin: object = None,
        trace: tuple[str, str] | None = None,
    ) -> InlineReply:
        try:
            value = self.execute(tool, args, session, timeout, idempotent, trace=trace)
        except SnakepitError as error:
            if isinstance(error, _REFUSALS) and not error.may_have_run:
                raise
            return InlineReply(None, error)
        return InlineReply(value, None)

    def execute_async(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: InlineSession | None,
        timeout: float | None,
        idempotent: bool,
        inbox: _core.Inbox,
        future: asyncio.Future[Any],
        retry: _core.RetryPolicy | None = None,
        within: object = None,
        origin: object = None,
        trace: tuple[str, str] | None = None,
    ) -> InlineReply:
        reply = self.submit(tool, args, session, timeout, idempotent, trace=trace)
        if (error := reply.exception()) is not None:
            future.set_exception(error)
        else:
            future.set_result(reply.result())
        return reply

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: InlineSession | None,
        timeout: float | None,
        idle_timeout: float | None,
        within: object = None,
        origin: object = None,
        trace: tuple[str, str] | None = None,
    ) -> InlineChunks:
        made = time.monotonic()
        with self._lock:
            keywords, told = self._prepared(tool, args, session, trace)
            try:
                bound, call = self._begin(tool, session, timeout, made, told, streams=True)
                self.counts.streamed()
                try:
                    chunks = self.run(call, lambda: iter(bound(**keywords)))
                except BaseException:
                    call.ended()
                    self.counts.streaming -= 1
                    raise
            except BaseException as error:
                told.ended(error)
                raise
            return InlineChunks(self, call, chunks, told)

    def run(self, call: InlineCall, function: Callable[[], Any]) -> Any:
        """Run code of the adapter inside of ``call``."""
        with self._lock:
            token, traced = current.set(call), call.traced
            attached = None if traced is None else traced.attach()
            try:
                return function()
            # Not KeyboardInterrupt: here it is this program's own Ctrl-C.
            except (Exception, SystemExit) as error:
                self._raise(error, call)
            finally:
                current.reset(token)
                if traced is not None:
                    traced.detach(attached)

    def outcome(self, call: InlineCall, function: Callable[[], Any]) -> Any:
        """Run code of the adapter inside of ``call``; what it returns arrives as from a worker."""
        return self.arrived(call, self.run(call, function))

    def arrived(self, call: InlineCall, value: Any) -> Any:
        """Return a result or chunk of ``call`` as it arrives from a worker."""
        try:
            return self._travel(value, "result", call.tool, "reply")
        except (EncodeError, MessageTooLarge) as error:
            self.counts.ended(call, error)
            error.may_have_run = True
            raise

    def _prepared(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: InlineSession | None,
        trace: tuple[str, str] | None,
    ) -> tuple[dict[str, Any], ToldCall]:
        name, session_id = self._config.name, None if session is None else session.id
        traced = None
        if trace is not None:
            from snakepit._inline_trace import TracedInline

            traced = TracedInline(name, tool, session_id, trace)
        try:
            keywords = self._arguments(tool, args)
        except BaseException as error:
            if traced is not None:
                traced.ended("encode", error)
            raise
        return keywords, ToldCall(name, tool, session_id, traced)

    def _arguments(self, tool: str, args: Mapping[str, Any] | None) -> dict[str, Any]:
        # As the native engine takes it: what is no text is refused by the face.
        tool.encode()
        self._refuse_fork()
        keywords: dict[str, Any] = self._travel(
            {} if args is None else dict(args), "args", tool, "request"
        )
        return keywords

    def _begin(
        self,
        tool: str,
        session: InlineSession | None,
        timeout: float | None,
        made: float,
        told: ToldCall,
        streams: bool,
    ) -> tuple[Callable[..., Any], InlineCall]:
        if self.closed:
            self.counts.refused()
        live = self._started()
        told.begun()
        self.counts.requests += 1
        found = live.find(tool, streams)
        if found is None:
            close = closest(tool, live.tools)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            if is_unmarked(type(live.adapter), tool):
                hint = "; it is a method of the adapter that is not marked with @tool"
            missing = ToolNotFound(f"{tool}: no such tool{hint}", tool=tool, suggestions=close)
            self.counts.unknown(tool, missing, made)
            raise missing
        limit = float("inf") if timeout is None else timeout
        call = InlineCall(next(self._ids), tool, self._sessions, session, limit, self._host, made)
        call.outlet, call.traced = self._outlet, told.traced
        bound, is_stream = found
        if is_stream != streams:
            mend = (
                "streams its results: use execute_stream"
                if is_stream
                else "does not stream: use execute, "
                "or declare it with @tool(supports_streaming=True)"
            )
            call.ended()
            self._raise(TypeError(f"tool {tool!r} {mend}"), call)
        return bound, call

    def _travel(self, value: Any, root: str, tool: str, direction: str) -> Any:
        substitute, memory = self._substitutes[direction], self._config.shared_memory
        # As with workers: what is large is no part of the message, and has no limit.
        outside: list[Any] | None = None if memory is None else []
        data = _core.encode(value, root, substitute, outside, memory[1] if memory else 0)
        limit = self._config.max_message
        if len(data) > limit:
            raise MessageTooLarge(
                f"{direction} of {tool}: {len(data)} bytes are above the limit of {limit}",
                size=len(data),
                limit=limit,
                direction=direction,
                tool=tool,
            )
        return _core.decode(data, root, [filled(bulk) for bulk in outside] if outside else None)

    def _raise(self, error: BaseException, call: InlineCall) -> NoReturn:
        report = self._report(type(error), error, _below_this_file(error))
        told = raised(
            report,
            f"{call.tool}: ",
            worker=(self._config.name, 0, self._generation),
            tool=call.tool,
            session=call.session_id,
        )
        self.counts.ended(call, told)
        raise told from error

    # --- the one worker -------------------------------------------------------------------------

    def _started(self) -> LiveAdapter:
        self._refuse_closed()
        if self._live is None:
            self._live = self._start()
            self._sessions.serve(self._generation, self._live.session_closed)
            self.counts.declare([row[0] for row in self._live.listing])
        return self._live

    def _refuse_fork(self) -> None:
        if self.forked:
            name, owner = self._config.name, self._owner
            raise ForkedPool(f"pool {name} belongs to process {owner}", pool=name, owner_pid=owner)

    def _refuse_closed(self) -> None:
        self._refuse_fork()
        if self.closed:
            name = self._config.name
            raise PoolClosed(f"pool {name} is closed", pool=name)

    def _start(self) -> LiveAdapter:
        name, source = self._config.name, self._source
        place = WorkerInfo(name, 0, self._generation + 1)
        self._outlet.connect()
        try:
            if isinstance(source, str):
                module, _, qualname = source.partition(":")
                source = load("module", module, qualname)
            live = LiveAdapter(source, self._config.adapter_args, place)
        except MissingSource as error:
            raise AdapterSourceError(
                f"pool {name}: {error}", pool=name, reason="adapter missing"
            ) from None
        except (Exception, SystemExit) as error:
            kind, message, text = describe(type(error), error, _below_this_file(error))
            raise StartError(
                f"pool {name}: the adapter cannot start: {kind}: {message}",
                pool=name,
                worker=(name, 0, place.generation),
                reason=kind,
                remote_traceback=text,
            ) from error
        self._generation += 1
        return live

    @property
    def knows_tools(self) -> bool:
        return self._live is not None

    def tools(self, timeout: float | None) -> list[_core._Tool]:
        with self._lock:
            return list(self._started().listing)

    def checked(
        self, tool: str, args: Mapping[str, Any] | None, timeout: float | None, wait: bool
    ) -> tuple[Mapping[str, Any], float | None]:
        tool.encode()
        keywords = {} if args is None else dict(args)
        data = _core.encode(self._travel(keywords, "args", tool, "request"), "args")
        schema = next((row[3] for row in self.tools(timeout) if row[0] == tool), None)
        wrong = None if schema is None else _core.check_arguments(schema, data)
        if wrong is not None:
            parameter, path, expected, got = wrong
            raise ArgumentError(
                f"{tool}: {path}: expected {expected}, got {got}",
                parameter=parameter or None,
                path=path,
                expected=expected,
                got=got,
                tool=tool,
            )
        return keywords, timeout

    def session(self, session_id: str, affinity: str | None) -> InlineSession:
        return InlineSession(session_id, None, affinity or self._config.affinity)

    def open_session(
        self,
        session_id: str,
        affinity: str | None,
        ttl: float | None,
        metadata: Mapping[str, Any] | None,
    ) -> InlineSession:
        with self._lock:
            self._refuse_closed()
            return self._sessions.open(session_id, affinity or self._config.affinity, ttl, metadata)

    def end_session(self, session: InlineSession) -> bool:
        with self._lock:
            return self._sessions.close(session)

    def close_session(self, session_id: str) -> bool:
        with self._lock:
            return self._sessions.close_by_id(session_id)

    def sessions(self) -> list[_core._SessionRow]:
        with self._lock:
            return self._sessions.rows()

    def session_info(self, session_id: str) -> _core._SessionRow | None:
        with self._lock:
            return self._sessions.row(session_id)

    def register_tool(
        self,
        queue: _core.HostQueue,
        tool: Any,
        name: str,
        session: str | None,
        description: str,
        timeout: float | None,
        streaming: bool,
    ) -> None:
        # No thread has to wait for anything: they run on the caller's.
        queue.close()
        if session is not None:
            self._sessions.end_stale(session)
        self._host.add(tool, name, session, description, timeout)

    def unregister_tool(self, name: str, session: str | None) -> bool:
        return self._host.remove(name, session)

    def host_tools(self) -> list[_core._HostTool]:
        return self._host.rows()

    def stats(self) -> _core._Stats:
        return self.counts.stats(self._live is not None, len(self._sessions))

    def metrics(self) -> _core.Metrics:
        ready = self._live is not None
        return self.counts.metrics(self._config.name, ready, len(self._sessions))

    def put(self, value: Any) -> _core.SharedRef:
        self._refuse_closed()
        return _core.keep(value, self._substitutes["request"])

    def room(self, nbytes: int) -> None:
        self._refuse_closed()

    def info(self) -> _core._Info:
        # Whatever the profile: one call at a time, on the caller's thread.
        gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        python = (sys.version.split()[0], gil, None)
        return ("process", 1, [(0, self._generation, 0, python, [])])

    def health(self) -> _core._Health:
        live = self._live is not None
        # What runs in the caller's thread neither crashes alone nor stalls unseen.
        name = "ready" if live else "starting"
        facts = (0, self._generation, name, live, live, live, 0.0, None, 0, None)
        return ("healthy" if live else "unhealthy", [facts], 0, 0)

    def monitor(self, monitor: _core.HealthMonitor) -> None:
        """Nothing here crashes alone."""

    def workers(self) -> list[_core._Worker]:
        state = "starting" if self._live is None else "ready"
        calls = self.counts.completed
        sessions = len(self._sessions)
        return [
            (0, self._generation, self._owner, state, calls, None, sessions, "closed", False, None)
        ]

    def await_ready(self, timeout: float | None) -> None:
        with self._lock:
            self._started()

    def set_telemetry(self, worker: int | None, wanted: tuple[float, list[str], list[str]]) -> None:
        self._refuse_fork()
        if worker not in (None, 0):
            raise ConfigError(
                f"worker: there is no worker {worker}; the pool has 1", field="worker"
            )
        self._outlet.want(*wanted)

    def recycle(self, slot: int, generation: int | None) -> bool:
        with self._lock:
            if slot != 0 or generation not in (None, self._generation):
                return False
            self._end()
            self.counts.restarts += 1
            return True

    def close(self, drain: float) -> None:
        with self._lock:
            self.closed = True
            self._end()

    def kill(self) -> None:
        self.close(0.0)

    def _end(self) -> None:
        live, self._live = self._live, None
        self._sessions.lose_worker()
        if live is not None:
            live.cleanup()


def _below_this_file(error: BaseException) -> Any:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
