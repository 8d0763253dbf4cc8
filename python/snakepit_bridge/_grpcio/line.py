"""The line: dials the host, and is what the SDK serves calls with (``_native.Line``)."""

from __future__ import annotations

import atexit
import os
import platform
import select
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import grpc

from snakepit_bridge import _values

from . import failure, forks, messages
from .control import Watcher
from .inbox import Inbox
from .jobs import Jobs
from .messages import (
    Hello,
    HostFrame,
    Interpreter,
    Ready,
    Report,
    StartFailed,
    Tool,
    WorkerFrame,
)
from .outbox import Outbox
from .process.become import die_with
from .process.watch import ORPHANED
from .running import Running
from .serve import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import ContextVar

    from snakepit_bridge._native import Call, Describe, Failure, Gil, Initialize, Listed, Tools

    from .outlet import Outlet
    from .process.control import Control
    from .process.start import Start

_HEADROOM = 64 << 10
"""Bytes that a frame may carry beside a value of the largest size."""
_MARGIN = 64
"""What a frame has around Ready."""
_STREAM_WINDOW = 8 << 20
_MAX_FRAME = 128 << 10
_UNBOUNDED = -1
_LARGEST = 2**31 - 1

_HANG_UP = 1.0
"""Seconds that a line which is refused because its host is going waits for the news of that."""
_LAST_WORDS = 2.0
"""Seconds that a worker which cannot start waits for the host to take note of why."""
_LAST_SENDING = 5.0
"""Seconds that the last sending may take, should the host not read."""


def attach(control: Control, start: Start, bridge_version: str) -> Line:
    """Dial the host, say hello, wait for Initialize.

    Raises:
        ConnectionError: There is no line to the host.
    """
    outbox, running = Outbox(), Running()
    # Queued before the call is opened: the host answers nobody it does not know.
    outbox.push(
        hello=Hello(
            token=start.token,
            protocol=messages.PROTOCOL,
            pid=os.getpid(),
            bridge_version=bridge_version,
            python_version=platform.python_version(),
            control=True,
            words=False,
            telemetry=True,
        )
    )
    channel = grpc.insecure_channel(f"unix:{quote(start.socket_path)}", _options(start))
    call = channel.stream_stream(
        messages.ATTACH,
        request_serializer=WorkerFrame.SerializeToString,
        response_deserializer=HostFrame.FromString,
    )(outbox.frames())
    try:
        frame: Any = next(call, None)
        problem = _problem(frame)
    except grpc.RpcError as error:
        problem = error.details() or str(error.code())
    if problem:
        # A pool that is closed while its workers start hangs up on them: no news to anybody.
        if _is_hung_up(control):
            os._exit(ORPHANED)
        channel.close()
        raise ConnectionError(f"no line to the host at {start.socket_path}: {problem}")
    forks.close_in_children(start.socket_path)
    outbox.outlet.want(frame.initialize.telemetry)
    line = Line(channel, call, outbox, running, frame.initialize, start.max_message)
    watcher = Watcher(control, running)
    # The last one registered is the first to run.
    atexit.register(forks.here_only(watcher.leave))
    atexit.register(forks.here_only(line.close))
    return line


def _options(start: Start) -> list[tuple[str, Any]]:
    limit = start.max_message + _HEADROOM
    limit = limit if limit <= _LARGEST else _UNBOUNDED
    return [
        # Made of the socket's path it is refused by the host's HTTP/2.
        ("grpc.default_authority", "localhost"),
        ("grpc.max_send_message_length", limit),
        ("grpc.max_receive_message_length", limit),
        # Once: a second connection would be another worker to the host.
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        # An adapter may have channels too.
        ("grpc.use_local_subchannel_pool", 1),
        # Windows as wide as the native end's, from the start instead of by probing.
        ("grpc.http2.lookahead_bytes", _STREAM_WINDOW),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.max_frame_size", _MAX_FRAME),
    ]


def _problem(frame: Any) -> str:
    if frame is None:
        return "the host closed the line after Hello"
    if frame.WhichOneof("frame") != "initialize":
        return "the first frame is not Initialize"
    return ""


def _interpreter(gil: Gil | None) -> Any:
    if gil is None:
        return None
    is_on, module = gil
    return Interpreter(gil=is_on, gil_enabled_by=module or "")


def _is_hung_up(control: Control) -> bool:
    poll = select.poll()
    poll.register(control.fileno(), select.POLLRDHUP)
    return bool(poll.poll(_HANG_UP * 1000))


class Line:
    """The stream to the host, once it is open."""

    def __init__(
        self,
        channel: Any,
        call: Any,
        outbox: Outbox,
        running: Running,
        initialize: Any,
        max_message: int,
    ) -> None:
        self._channel = channel
        self._call = call
        self._outbox = outbox
        self._running = running
        self._initialize = initialize
        self._max_message = max_message
        self._substitute: Callable[[Any], Any] | None = None
        self._shim = os.getppid()
        self._ended = threading.Event()
        call.add_done_callback(self._on_end)

    @property
    def initialize(self) -> Initialize:
        told = self._initialize
        rule = told.unserializable
        kind = told.adapter.WhichOneof("source") or "module"
        return {
            "adapter_kind": kind,
            "adapter_location": getattr(told.adapter, kind),
            "adapter_qualname": told.adapter.qualname,
            "arguments": _values.decode(told.arguments, "adapter_args"),
            "pool": told.pool,
            "slot": told.slot,
            "generation": told.generation,
            "device": told.device or None,
            "profile": messages.PROFILES.get(told.profile, "process"),
            "capacity": max(told.capacity, 1),
            "thread_safety_checks": told.thread_safety_checks,
            "errors": list(told.errors),
            "unserializable": (
                (rule.detail, rule.max_repr, rule.max_elements)
                if told.HasField("unserializable")
                else None
            ),
        }

    def substitute_by(self, substitute: Callable[[Any], Any]) -> None:
        """From now on what cannot travel in a result is sent as what ``substitute`` makes of it."""
        self._substitute = substitute

    def ready(self, tools: Sequence[Listed], gil: Gil | None = None) -> None:
        """Say which tools there are. Calls may come then.

        ValueError: that is more than a frame holds.
        """
        ready = Ready(
            tools=[
                Tool(
                    name=name,
                    description=text,
                    streaming=streams,
                    parameters=parameters,
                    thread_safe=thread_safe,
                )
                for name, text, streams, parameters, thread_safe in tools
            ],
            interpreter=_interpreter(gil),
        )
        size, limit = ready.ByteSize(), self._max_message + _HEADROOM - _MARGIN
        if size > limit:
            raise ValueError(
                f"the tools' names, descriptions and schemas take {size} bytes, and {limit} fit; "
                "raise the pool's max_message"
            )
        # `initialize` may have changed the user, which makes the kernel forget.
        die_with(self._shim)
        self._outbox.push(ready=ready)
        # What `initialize` has told goes now, and nothing could before.
        if self._initialize.HasField("telemetry"):
            self._outbox.outlet.open()

    @property
    def telemetry(self) -> Outlet | None:
        """Where what the adapter tells is left for the host; None: it wants none, ever."""
        return self._outbox.outlet if self._initialize.HasField("telemetry") else None

    def report(self, topic: str, text: str, gil: Gil | None = None) -> None:
        """Tell people something about this worker, from any thread."""
        interpreter = _interpreter(gil)
        self._outbox.push(report=Report(topic=topic, text=text, interpreter=interpreter))

    def start_failed(self, failure_: Failure, adapter_source: bool, permanent: bool) -> None:
        """Report and flush; the host then stops this worker."""
        kind = messages.ADAPTER_SOURCE if adapter_source else messages.EXCEPTION
        told = failure.told(kind, failure_)
        self._outbox.push(start_failed=StartFailed(failure=told, permanent=permanent))
        self._ended.wait(_LAST_WORDS)

    def serve(
        self,
        tools: Tools,
        current: ContextVar[Call | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
    ) -> bool:
        """Run calls on this thread until the host drains (True) or the line ends (False).

        KeyboardInterrupt and SystemExit raised by a tool are failures like any other.
        """
        return self._server(tools, current, describe, suggest).run()

    def jobs(
        self,
        tools: Tools,
        current: ContextVar[Call | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
    ) -> Jobs:
        """The calls that the host sends, for threads or tasks that run several at once."""
        return Jobs(self._server(tools, current, describe, suggest))

    def drive(self, jobs: Jobs) -> bool:
        """Hand out calls on this thread until the host drains and all are answered (True), or the
        line ends (False).
        """
        return jobs.drive()

    def _server(
        self,
        tools: Tools,
        current: ContextVar[Call | None],
        describe: Describe,
        suggest: Callable[[str], list[str]],
    ) -> Server:
        return Server(
            Inbox(self._call, self._outbox, self._max_message, self._substitute),
            self._outbox,
            self._running,
            self._max_message,
            dict(tools),
            current,
            describe,
            suggest,
            self._substitute,
        )

    def close(self) -> None:
        """Python ends, and this process with it: see to it that the host has everything."""
        self._outbox.finish()
        self._ended.wait(_LAST_SENDING)
        self._channel.close()

    def _on_end(self, _: object) -> None:
        self._outbox.closed = True
        self._running.ring()
        self._ended.set()
