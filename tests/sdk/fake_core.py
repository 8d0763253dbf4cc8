"""The worker's end of the line in plain Python, and the host behind it, in one process.

``Host`` runs ``snakepit_bridge._worker.main`` in a thread and calls tools as the native end would:
one at a time, ``current`` set around every step. No wire, no encoding.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from snakepit_bridge import _worker
from snakepit_bridge._dispatch import find

WAIT = 30.0
"""Seconds after which a test has failed; nothing here is expected to take one."""

END = object()


class StartFailed(Exception):
    def __init__(
        self, failure: tuple[str, str, str], adapter_source: bool, permanent: bool
    ) -> None:
        super().__init__("\n".join(failure))
        self.type_name, self.message, self.traceback = failure
        self.adapter_source = adapter_source
        self.permanent = permanent


class RemoteFailure(Exception):
    def __init__(self, failure: tuple[str, str, str]) -> None:
        super().__init__("\n".join(failure))
        self.type_name, self.message, self.traceback = failure


class ToolMissing(Exception):
    pass


class Call:
    """A call as tools and the SDK see it, and the host's handle of it."""

    def __init__(
        self, tool: str, session_id: str | None, session_new: bool, time_left: float | None
    ) -> None:
        self.id = 1
        self.tool = tool
        self.session_id = session_id
        self.session_new = session_new
        self.cancelled = False
        self.trace: tuple[str, str, bytes] | None = None
        self._deadline = None if time_left is None else time.monotonic() + time_left
        self._lock = threading.Lock()
        self._callback: Callable[[], object] | None = None

    def remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        with self._lock:
            self._callback = callback
            at_once = self.cancelled and callback is not None
        if at_once:
            callback()

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            callback = self._callback
        if callback is not None:
            callback()

    @property
    def watched(self) -> bool:
        return self._callback is not None


class Pending:
    """A call under way: its chunks, then its outcome."""

    def __init__(self, call: Call, args: Mapping[str, Any], streaming: bool) -> None:
        self.call = call
        self.args = args
        self.streaming = streaming
        self.pulls: SimpleQueue[bool] = SimpleQueue()
        self._events: SimpleQueue[Any] = SimpleQueue()

    def put(self, event: Any) -> None:
        self._events.put(event)

    def result(self) -> Any:
        event = self._events.get(timeout=WAIT)
        if isinstance(event, Exception):
            raise event
        return event

    def chunks(self) -> Iterator[Any]:
        """One chunk is asked for at a time; closing the iterator ends the tool's."""
        try:
            while True:
                self.pulls.put(True)
                chunk = self.result()
                if chunk is END:
                    return
                yield chunk
        except GeneratorExit:
            self.pulls.put(False)
            self.result()


def _below(error: BaseException) -> TracebackType | None:
    """The traceback without this file's frames: the native end has none."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


class Line:
    telemetry = None

    def __init__(self, initialize: dict[str, Any]) -> None:
        self.initialize = initialize
        self.started: SimpleQueue[Any] = SimpleQueue()
        self.requests: SimpleQueue[Pending | bool] = SimpleQueue()
        self.reports: list[tuple[str, str]] = []

    def substitute_by(self, substitute: Callable[[Any], Any]) -> None:
        self.substitute = substitute

    def ready(
        self,
        tools: list[tuple[str, str, bool, str, bool]],
        gil: tuple[bool, str | None] | None = None,
    ) -> None:
        self.gil = gil
        self.started.put(tools)

    def start_failed(
        self, failure: tuple[str, str, str], adapter_source: bool, permanent: bool
    ) -> None:
        self.started.put(StartFailed(failure, adapter_source, permanent))

    def report(self, topic: str, text: str) -> None:
        self.reports.append((topic, text))

    def serve(
        self,
        tools: Mapping[str, tuple[Callable[..., Any], bool]],
        current: ContextVar[Call | None],
        describe: Callable[..., tuple[Any, ...]],
        suggest: Callable[[str], list[str]],
    ) -> bool:
        while True:
            request = self.requests.get()
            if isinstance(request, bool):
                return request
            token = current.set(request.call)
            try:
                found = find(tools, request.call.tool, request.streaming)
                if found is None:
                    raise ToolMissing(suggest(request.call.tool))
                function, streams = found
                result = function(**request.args)
                request.put(self._stream(request, result) if streams else result)
            except ToolMissing as missing:
                request.put(missing)
            except BaseException as error:
                texts = describe(type(error), error, _below(error))[:3]
                request.put(RemoteFailure(texts))
            finally:
                current.reset(token)

    def _stream(self, request: Pending, chunks: Iterator[Any]) -> Any:
        close = getattr(chunks, "close", lambda: None)
        try:
            while request.pulls.get(timeout=WAIT):
                try:
                    request.put(next(chunks))
                except StopIteration:
                    break
        finally:
            close()
        return END


class Host:
    """A worker in a thread, and what a host does with it. Also the ``core`` that it is given."""

    def __init__(self, kind: str, location: str, qualname: str, **fields: Any) -> None:
        initialize = {
            "adapter_kind": kind,
            "adapter_location": location,
            "adapter_qualname": qualname,
            "arguments": {},
            "pool": "default",
            "slot": 0,
            "generation": 1,
            "device": None,
            "profile": "process",
            "capacity": 1,
            "thread_safety_checks": False,
            "errors": [],
            "unserializable": None,
        }
        self.line = Line({**initialize, **fields})
        self.exit_code: int | None = None
        self.bridge_version = ""
        self._thread = threading.Thread(target=self._main, name="fake-worker")
        self._thread.start()

    def attach(self, bridge_version: str) -> Line:
        self.bridge_version = bridge_version
        return self.line

    def await_ready(self) -> list[tuple[str, str, bool]]:
        event = self.line.started.get(timeout=WAIT)
        if isinstance(event, Exception):
            raise event
        return event

    def begin(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        session: str | None = None,
        session_new: bool = False,
        time_left: float | None = None,
        streaming: bool = False,
    ) -> Pending:
        pending = Pending(Call(tool, session, session_new, time_left), args or {}, streaming)
        self.line.requests.put(pending)
        return pending

    def call(self, tool: str, args: Mapping[str, Any] | None = None, **options: Any) -> Any:
        return self.begin(tool, args, **options).result()

    def stream(self, tool: str, args: Mapping[str, Any] | None = None) -> list[Any]:
        return list(self.begin(tool, args, streaming=True).chunks())

    def drain(self) -> int | None:
        return self._end(True)

    def vanish(self) -> int | None:
        return self._end(False)

    def _end(self, drain: bool) -> int | None:
        self.line.requests.put(drain)
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the worker hangs"
        return self.exit_code

    def _main(self) -> None:
        try:
            self.exit_code = _worker.main(self)
        except SystemExit as exit_:  # How tests replace os._exit.
            self.exit_code = exit_.code
