"""The engine of ``inline=True``: the adapter in this process, on the caller's thread.

For debuggers and tests. Values go through the same codec and errors have the same classes as with
workers, so code that passes here meets no surprise there; the exception of a tool is the
``__cause__`` of its ``RemoteError``. What only a process gives is missing: calls run one after
the other, nothing interrupts a call whose deadline has passed, and a crash is this process's.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from snakepit import _core
from snakepit._inline_call import InlineCall, InlineChunks, InlineReply, replied
from snakepit._inline_counts import InlineCounts
from snakepit._inline_error import below, misused, raised, unknown
from snakepit._inline_host import InlineHostTools
from snakepit._inline_outlet import InlineOutlet
from snakepit._inline_sessions import InlineSession, InlineSessions
from snakepit._inline_telling import ToldCall
from snakepit._inline_values import InlineValues, refuse_wrong
from snakepit._inline_worker import InlineWorker
from snakepit.errors import ConfigError, EncodeError, ForkedPool, MessageTooLarge, PoolClosed
from snakepit_bridge._context import current
from snakepit_bridge._report import Reporter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from snakepit._config import PoolConfig
    from snakepit_bridge._lifecycle import LiveAdapter


class InlineEngine:
    """One adapter, made at the first call; see ``_core.pyi`` for what each method means."""

    def __init__(self, config: PoolConfig, adapter: str | type) -> None:
        self._config = config
        self._report = Reporter(config.errors)
        self._values = InlineValues(config)
        self._ids = itertools.count(1)
        # A tool may call its own pool; another thread waits for the one call that runs.
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self.counts = InlineCounts()
        self._host = host = InlineHostTools(config.host_tool_depth, self._values.substitutes)
        self._sessions = InlineSessions(
            config.name, config.session_ttl, config.max_sessions, host.end_session
        )
        self._outlet = InlineOutlet(config.name, config.telemetry)
        self._worker = InlineWorker(config, adapter, self._sessions, self._outlet, self.counts)
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
        return replied(lambda: self.execute(tool, args, session, timeout, idempotent, trace=trace))

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
            return self._values.travel(value, "result", call.tool, "reply")
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
            # As the native engine takes it: what is no text is refused by the face.
            tool.encode()
            self._refuse_fork()
            given = {} if args is None else dict(args)
            keywords = self._values.travel(given, "args", tool, "request")
        except BaseException as error:
            if traced is not None:
                traced.ended("encode", error)
            raise
        return keywords, ToldCall(name, tool, session_id, traced)

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
            missing = unknown(tool, live)
            self.counts.unknown(tool, missing, made)
            raise missing
        limit = float("inf") if timeout is None else timeout
        call = InlineCall(next(self._ids), tool, self._sessions, session, limit, self._host, made)
        call.outlet, call.traced = self._outlet, told.traced
        bound, is_stream = found
        if is_stream != streams:
            call.ended()
            self._raise(misused(tool, is_stream), call)
        return bound, call

    def _raise(self, error: BaseException, call: InlineCall) -> NoReturn:
        report = self._report(type(error), error, below(error, __file__))
        told = raised(
            report,
            f"{call.tool}: ",
            worker=(self._config.name, 0, self._worker.generation),
            tool=call.tool,
            session=call.session_id,
        )
        self.counts.ended(call, told)
        raise told from error

    # --- the one worker -------------------------------------------------------------------------

    def _started(self) -> LiveAdapter:
        self._refuse_closed()
        live = self._worker.live
        return self._worker.start() if live is None else live

    def _refuse_fork(self) -> None:
        if self.forked:
            name, owner = self._config.name, self._owner
            raise ForkedPool(f"pool {name} belongs to process {owner}", pool=name, owner_pid=owner)

    def _refuse_closed(self) -> None:
        self._refuse_fork()
        if self.closed:
            name = self._config.name
            raise PoolClosed(f"pool {name} is closed", pool=name)

    @property
    def knows_tools(self) -> bool:
        return self._worker.live is not None

    def tools(self, timeout: float | None) -> list[_core._Tool]:
        with self._lock:
            return list(self._started().listing)

    def checked(
        self, tool: str, args: Mapping[str, Any] | None, timeout: float | None, wait: bool
    ) -> tuple[Mapping[str, Any], float | None]:
        tool.encode()
        keywords = {} if args is None else dict(args)
        data = _core.encode(self._values.travel(keywords, "args", tool, "request"), "args")
        schema = next((row[3] for row in self.tools(timeout) if row[0] == tool), None)
        if schema is not None:
            refuse_wrong(tool, schema, data)
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
        return self.counts.stats(self.knows_tools, len(self._sessions))

    def metrics(self) -> _core.Metrics:
        return self.counts.metrics(self._config.name, self.knows_tools, len(self._sessions))

    def put(self, value: Any) -> _core.SharedRef:
        self._refuse_closed()
        return _core.keep(value, self._values.substitutes["request"])

    def room(self, nbytes: int) -> None:
        self._refuse_closed()

    def info(self) -> _core._Info:
        return self._worker.info()

    def health(self) -> _core._Health:
        return self._worker.health()

    def monitor(self, monitor: _core.HealthMonitor) -> None:
        """Nothing here crashes alone."""

    def workers(self) -> list[_core._Worker]:
        return [self._worker.row()]

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
            if slot != 0 or generation not in (None, self._worker.generation):
                return False
            self._worker.end()
            self.counts.restarts += 1
            return True

    def close(self, drain: float) -> None:
        with self._lock:
            self.closed = True
            self._worker.end()

    def kill(self) -> None:
        self.close(0.0)
