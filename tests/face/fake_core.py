"""A native half made of Python: enough of ``_core.pyi`` to test the face without it.

Calls end when the test says so (``FakeReply.end``), on whatever thread it says it.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import types
from typing import Any, ClassVar, Self

from snakepit_bridge.errors import EncodeError as BridgeEncodeError

TELEMETRY_EVENTS = ("snakepit.pool.worker.spawned", "snakepit.grpc_worker.execute.stop")


class FakeSharedRef:
    def __init__(self, value: Any) -> None:
        self._value, self.closed, self.nbytes = value, False, 0

    def value(self) -> Any:
        return self._value

    def close(self) -> None:
        self.closed = True


class FakeReply:
    def __init__(self, tool: str = "tool") -> None:
        self.tool = tool
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._watchers: list[Any] = []
        self._value: Any = None
        self._error: BaseException | None = None
        self._cancelled = False
        self.started = False
        self.future: Any = None
        self.inbox: Any = None

    def end(self, value: Any = None, error: BaseException | None = None) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._value, self._error = value, error
            self._ended.set()
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()
        if self.inbox is not None:
            self.inbox.put(self)

    def done(self) -> bool:
        return self._ended.is_set()

    def running(self) -> bool:
        return self.started and not self.done()

    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> bool:
        with self._lock:
            if self._ended.is_set():
                return self._cancelled
            self._cancelled = True
        self.end()
        return True

    def result(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if not self._ended.wait(timeout):
            raise TimeoutError
        if self._cancelled:
            from snakepit.errors import Cancelled

            raise Cancelled("given up", tool=self.tool)
        return self._error

    def watch(self, callback: Any) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._watchers.append(callback)
                return
        callback()


class Inbox:
    """Replies that ended, and an eventfd that says so."""

    made: ClassVar[list[Inbox]] = []

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ended: list[FakeReply] = []
        self._lock = threading.Lock()
        self.pending: set[FakeReply] = set()
        self.closed = False
        self.made.append(self)

    def fileno(self) -> int:
        return self._fd

    def put(self, reply: FakeReply) -> None:
        with self._lock:
            if not self.closed:
                self._ended.append(reply)
                os.eventfd_write(self._fd, 1)

    def drain(self) -> None:
        os.eventfd_read(self._fd)
        with self._lock:
            ended, self._ended = self._ended, []
        for reply in ended:
            self.pending.discard(reply)
            if reply.future.done():
                continue
            try:
                reply.future.set_result(reply.result())
            except Exception as error:
                reply.future.set_exception(error)

    def close(self) -> None:
        with self._lock:
            if self.closed:
                return
            self.closed = True
        for reply in list(self.pending):
            reply.cancel()
        os.close(self._fd)


class FakeChunks:
    def __init__(self, items: Any) -> None:
        self._items = iter(items)
        self.closed = False

    def __iter__(self) -> FakeChunks:
        return self

    def __next__(self) -> Any:
        if self.closed:
            raise StopIteration
        item = next(self._items)
        if isinstance(item, Exception):
            raise item
        return item

    def next_async(self, inbox: Inbox, future: Any) -> bool:
        try:
            future.set_result(next(self))
        except StopIteration:
            future.set_exception(StopAsyncIteration())
        except Exception as error:
            future.set_exception(error)
        return True

    def expire(self) -> None:
        """Never needed: ``next_async`` has its item at once."""
        raise AssertionError("a stream that does not wait expired")

    def close(self) -> None:
        self.closed = True


class FakeSession:
    def __init__(self, session_id: str, affinity: str | None) -> None:
        self.id, self.affinity, self.generation = session_id, affinity, 0
        self.opening: tuple[Any, ...] = ()
        self.closed = False

    def with_affinity(self, affinity: str) -> FakeSession:
        return FakeSession(self.id, affinity)


class FakeMetrics:
    def __init__(self, stats: dict[str, Any]) -> None:
        self.stats = stats

    def told(self) -> dict[str, Any]:
        times = ([(0.001, 1), (None, 3)], 2.5)
        return {
            "pool": "fake",
            "stats": self.stats,
            "tools": [("ping", {"ok": 3}, times, times, times)],
            "rejected": {"queue_full": 1},
            "workers": {"ready": 2},
            "streams": 4,
            "streaming": 1,
            "lines_dropped": 0,
        }


class FakeMeter:
    """Of an inline pool: forgets all."""

    def declare(self, tools: list[str]) -> None: ...
    def ended(self, tool: str, outcome: str, took: float, ran: float) -> None: ...
    def refused(self) -> None: ...
    def streamed(self) -> None: ...


def metrics_text(pools: list[FakeMetrics], openmetrics: bool) -> str:
    return f"{len(pools)} pools, {openmetrics}"


class HostQueue:
    """Calls of host tools that the test puts there, one after the other."""

    def __init__(self, max_threads: int) -> None:
        self.max_threads = max_threads
        self.calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.threads = 0

    def wants_thread(self) -> bool:
        self.threads += 1
        return self.threads == 1

    def next(self, limit: float) -> tuple[Any, bool] | None:
        call = self.calls.get()
        return None if call is None else (call, False)

    def close(self) -> None:
        self.calls.put(None)


class FakeHostCall:
    """A call of a host tool; what is answered is kept."""

    def __init__(self, tool: Any, arguments: Any, origin: Any = None) -> None:
        self.tool, self.origin, self._arguments = tool, origin, arguments
        self.name, self.caller, self.session_id, self.depth = tool.name, "caller", None, 1
        self.cancelled, self.trace = False, None
        self.items: list[Any] = []
        self.answered = threading.Event()
        self.answer: Any = None
        self.on_cancelled: list[Any] = []

    def arguments(self) -> Any:
        return self._arguments

    def remaining(self) -> float | None:
        return None

    def on_cancel(self, callback: Any) -> int:
        self.on_cancelled.append(callback)
        return len(self.on_cancelled)

    def forget(self, token: int) -> None:
        self.on_cancelled[token - 1] = None

    def cancel(self) -> None:
        self.cancelled = True
        for callback in filter(None, [*self.on_cancelled]):
            callback()

    def _end(self, *answer: Any) -> bool:
        self.answer = answer
        self.answered.set()
        return True

    def succeed(self, value: Any) -> bool:
        return self._end("value", value)

    def fail(self, report: Any) -> bool:
        return self._end("failure", *report)

    def send(self, item: Any) -> bool:
        self.items.append(item)
        return not self.cancelled

    def try_send(self, item: Any) -> bool | None:
        return self.send(item)

    def end(self) -> bool:
        return self._end("end")


class EventReader:
    """Events, as the real one reads them."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._events: list[Any] = []
        self._run: tuple[dict[str, Any], Any, int] | None = None
        self._ended = False
        self._seen = 0
        self.latest: str | None = None

    def wait(self, gather: float) -> bool:
        batch = self._subscription.batches.get()
        self._events, self._run, self._ended = list(batch or ()), None, False
        return batch is not None

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._run is not None:
            routes, attached, left = self._run
            changed = self._subscription.changes != self._seen
            route = routes.get(self._events[0][0]) if self._events else None
            self._run = routes, attached, left - 1
            if not left or changed or route is None or route[0] is not attached:
                self._ended, self._run = True, None
        if self._ended or not self._events:
            raise StopIteration
        self.latest = self._events[0][0]
        return self._events.pop(0)

    def ahead(self) -> str | None:
        self._seen, self._run, self._ended = self._subscription.changes, None, False
        return self._events[0][0] if self._events else None

    def run(self, routes: dict[str, Any], attached: Any, most: int) -> Self:
        self._run = routes, attached, most
        return self


class Subscription:
    """Events that the test tells: what its handlers want is remembered."""

    made: ClassVar[list[Subscription]] = []

    def __init__(self, room: int) -> None:
        self.wanted: list[str] = []
        self.changes = 0
        self.dropped = 0
        self.batches: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told = 0
        self.made.append(self)

    def want(self, names: list[str]) -> None:
        self.wanted = names
        self.changes += 1

    def tell(self, *batch: Any) -> None:
        self._told += 1
        self.batches.put(list(batch))

    def hurry(self) -> int:
        return self._told

    def close(self) -> None:
        self.batches.put(None)


def deliver_logs() -> None:
    pass


def log_to(handler: Any, level: str) -> None:
    """Nothing is logged here."""


def leave() -> None:
    """There is no thread here."""


def cleanup() -> tuple[list[int], list[int], list[int], int]:
    return [], [], [], 0


def end_by(signal: int) -> None:
    raise AssertionError(f"ended by {signal}")


class Pool:
    """Remembers what it was asked; ``answer`` decides how a call ends at once, if it does."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.calls: list[tuple[Any, ...]] = []
        self.replies: list[FakeReply] = []
        self.chunks: list[FakeChunks] = []
        self.drains: list[float] = []
        self.recycled: list[tuple[int, int | None]] = []
        self.wanted_telemetry: Any = None
        self.readiness: BaseException | None = None
        self.ready_gate: threading.Event | None = None
        self.items: Any = ()
        self.owner = os.getpid()
        self.answer: Any = None
        self.registered: dict[tuple[str, str | None], tuple[Any, ...]] = {}
        self.open: dict[str, FakeSession] = {}
        self.checks: list[tuple[Any, ...]] = []
        self.mismatch: BaseException | None = None
        self.knows_tools = True

    @property
    def closed(self) -> bool:
        return bool(self.drains)

    @property
    def forked(self) -> bool:
        return self.owner != os.getpid()

    def submit(self, *call: Any) -> FakeReply:
        call[0].encode()
        self.calls.append(call)
        reply = FakeReply(call[0])
        self.replies.append(reply)
        if self.answer is not None:
            self.answer(call, reply)
        return reply

    def execute(self, *call: Any) -> Any:
        return self.submit(*call).result(5)

    def execute_async(self, *call: Any) -> FakeReply:
        inbox, future = call[5:7]
        rest = (*call[:5], *call[7:])
        call[0].encode()
        self.calls.append(rest)
        reply = FakeReply(call[0])
        reply.inbox, reply.future = inbox, future
        inbox.pending.add(reply)
        self.replies.append(reply)
        if self.answer is not None:
            self.answer(rest, reply)
        return reply

    def stream(self, *call: Any) -> FakeChunks:
        call[0].encode()
        self.calls.append(call)
        chunks = FakeChunks(self.items)
        self.chunks.append(chunks)
        return chunks

    def session(self, session_id: str, affinity: str | None) -> FakeSession:
        session_id.encode()
        return FakeSession(session_id, affinity)

    def register_tool(self, queue: Any, tool: Any, name: str, *more: Any) -> None:
        session, description, timeout, streaming = more
        self.registered[name, session] = (queue, tool, description, timeout, streaming)

    def unregister_tool(self, name: str, session: str | None) -> bool:
        return self.registered.pop((name, session), None) is not None

    def host_tools(self) -> list[tuple[Any, ...]]:
        return [(name, of, *tool[2:]) for (name, of), tool in self.registered.items()]

    def open_session(
        self, session_id: str, affinity: str | None, ttl: float | None, metadata: Any
    ) -> FakeSession:
        session = FakeSession(session_id, affinity)
        session.opening = (ttl, metadata)
        self.open[session_id] = session
        return session

    def end_session(self, session: FakeSession) -> bool:
        was_open, session.closed = not session.closed, True
        self.open.pop(session.id, None)
        return was_open

    def close_session(self, session_id: str) -> bool:
        return session_id in self.open and self.end_session(self.open[session_id])

    def sessions(self) -> list[tuple[Any, ...]]:
        return [self._row(session_id) for session_id in self.open]

    def session_info(self, session_id: str) -> tuple[Any, ...] | None:
        return self._row(session_id) if session_id in self.open else None

    def _row(self, session_id: str) -> tuple[Any, ...]:
        age = float(100 + [*self.open].index(session_id))
        return (session_id, (1, 3), 7, 5, 1, age, 2.0, 60.0, 58.0, {"k": 1})

    def stats(self) -> dict[str, int]:
        names = (
            "requests errors queued running completed cancelled timeouts queue_timeouts rejected "
            "worker_deaths restarts workers ready sessions shed retries retries_refused "
            "quarantined queued_bytes retry_tokens circuit barred"
        )
        counted = {name: index for index, name in enumerate(names.split())}
        return {**counted, "shared_memory": (1, 2, 3, 4, 5, 6, 7, 8)}

    def metrics(self) -> FakeMetrics:
        return FakeMetrics(self.stats())

    def put(self, value: Any) -> Any:
        return FakeSharedRef(value)

    def room(self, nbytes: int) -> Any:
        self.rooms = [*getattr(self, "rooms", ()), nbytes]
        return bytearray(nbytes)

    def workers(self) -> list[tuple[Any, ...]]:
        return [
            (0, 1, 4242, "ready", 7, 1 << 20, 2, "closed", False, "cuda:1"),
            (1, 3, None, "starting", 0, None, 0, "open", True, None),
        ]

    def info(self) -> tuple[Any, ...]:
        on = (0, 1, 2, ("3.13.5", True, "old_module"), ["module old_module switched it on"])
        return ("thread", 4, [on, (1, 3, 0, None, [])])

    def health(self) -> tuple[Any, ...]:
        facts = (0, 1, "busy", True, True, True, 1.5, 0.25, 1, None)
        gone = (1, 3, "degraded", False, False, False, 9.0, None, 0, "no weights")
        return ("degraded", [facts, gone], 1, 2)

    def monitor(self, monitor: Any) -> None:
        self.monitors = [*getattr(self, "monitors", ()), monitor]

    def tools(self, timeout: float | None) -> list[tuple[str, str, bool, str, bool]]:
        self.await_ready(timeout)
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        return [("add", "Adds.", False, json.dumps(schema), True), ("count", "", True, "{}", False)]

    def checked(
        self, tool: str, args: Any, timeout: float | None, wait: bool
    ) -> tuple[Any, float | None]:
        tool.encode()
        self.checks.append((tool, args, timeout, wait))
        if self.mismatch is not None:
            raise self.mismatch
        return ("checked", args), timeout

    def await_ready(self, timeout: float | None) -> None:
        if self.ready_gate is not None:
            self.ready_gate.wait(timeout)
        if self.readiness is not None:
            raise self.readiness

    def set_telemetry(self, worker: int | None, wanted: tuple[float, list[str], list[str]]) -> None:
        self.wanted_telemetry = (worker, wanted)

    def recycle(self, slot: int, generation: int | None) -> None:
        self.recycled.append((slot, generation))

    def close(self, drain: float) -> None:
        self.drains.append(drain)
        for reply in self.replies:
            reply.cancel()

    def kill(self) -> None:
        self.close(0.0)


def encode(
    value: object,
    root: str = "value",
    substitute: Any = None,
    outside: Any = None,
    threshold: int = 0,
) -> bytes:
    """JSON for the codec: tuples arrive as lists and objects are refused, as with the real one."""
    try:
        return json.dumps(value, default=substitute).encode()
    except TypeError as error:
        from snakepit.errors import EncodeError

        raise EncodeError(f"{root}: {error}", path=root) from None


def decode(data: bytes, root: str = "value", arrived: Any = None) -> Any:
    return json.loads(data)


def diagnose(type_name: str, message: str) -> None:
    """The real one reads what numeric libraries say."""


def use_registry(encoders: dict[type, Any], decoders: dict[str, Any]) -> None:
    """JSON knows no types of the program."""


def select_device(wanted: list[str], packages: list[str]) -> tuple[str, int | None]:
    """A machine with its processors alone, as all of these."""
    return "cpu", None


def assign_devices(
    devices: list[str], packages: list[str]
) -> tuple[list[str], dict[str, list[str]]]:
    values = [device.rpartition(":")[2] for device in devices]
    return devices, {"CUDA_VISIBLE_DEVICES": values, "CUDA_DEVICE_ORDER": ["PCI_BUS_ID"]}


def hardware(*_: object) -> dict[str, Any]:
    return {}


def device_info(wanted: str, packages: list[str]) -> tuple[str, dict[str, Any]]:
    return "cpu", {}


def clear_hardware_cache() -> None:
    """Nothing is remembered."""


def module() -> types.ModuleType:
    """The module to put in place of ``snakepit._core``."""
    core = types.ModuleType("snakepit._core")
    core.__file__ = os.path.abspath("_core.abi3.so")
    for name, value in {
        "__version__": "0.1.0",
        "__build__": "abi3",
        "STRICT_ENVIRONMENT": ("PATH", "HOME"),
        "STRICT_PREFIXES": ("LC_", "CUDA_", "OMP_"),
        "THREAD_COUNTS": ("OMP_NUM_THREADS",),
        "OF_ONE_INTERPRETER": ("PYTHONHOME",),
        "encode": encode,
        "decode": decode,
        "diagnose": diagnose,
        "use_registry": use_registry,
        "keep": lambda value, substitute=None: FakeSharedRef(value),
        "SharedRef": FakeSharedRef,
        "Pool": Pool,
        "Meter": FakeMeter,
        "Metrics": FakeMetrics,
        "metrics_text": metrics_text,
        "Inbox": Inbox,
        "HostQueue": HostQueue,
        "TELEMETRY_EVENTS": TELEMETRY_EVENTS,
        "EventReader": EventReader,
        "Subscription": Subscription,
        "hears": lambda name: False,
        "tell": lambda name, measurements, metadata: None,
        "leave": leave,
        "deliver_logs": deliver_logs,
        "log_to": log_to,
        "cleanup": cleanup,
        "end_by": end_by,
        "detect_hardware": hardware,
        "hardware_capabilities": hardware,
        "hardware_identity": hardware,
        "select_device": select_device,
        "device_info": device_info,
        "clear_hardware_cache": clear_hardware_cache,
        "usable_cores": lambda: 2,
        "assign_devices": assign_devices,
    }.items():
        setattr(core, name, value)
    return core


__all__ = [
    "BridgeEncodeError",
    "FakeChunks",
    "FakeHostCall",
    "FakeReply",
    "HostQueue",
    "Inbox",
    "Pool",
    "module",
]
