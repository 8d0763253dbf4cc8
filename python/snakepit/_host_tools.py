"""Functions of this program that adapters may call back: who they are, and what runs them.

.. code-block:: text

    engine ──▶ queue ──▶ a thread of the pool's ──sync──▶ the function, its answer to the worker
                                                └─async─▶ a task of a loop, its answer to the worker

The threads are daemons: a function that never returns keeps neither a call (its deadline decides)
nor the end of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
import time
import weakref
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from snakepit import _core, _nesting
from snakepit._host_loop import HostLoop
from snakepit_bridge._report import Reporter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from snakepit._engine import Engine, NativeHostCall
    from snakepit._tracing._otel import HostSpan

_LOG = logging.getLogger("snakepit")
_report = Reporter()

MAX_THREADS = 64
"""So many synchronous host tools of one pool may run at once; others wait for a thread."""

_IDLE = 10.0
"""Seconds after which a thread without work ends."""

_CLOSING = 1.0
"""Seconds that closing a pool waits for host tools that run."""

Params = Literal["keywords", "mapping"]


class HostTool(NamedTuple):
    """A host tool, as ``pool.host_tools()`` lists it."""

    name: str
    """What adapters call it by."""
    session: str | None
    """The only session whose calls may use it; ``None``: every call may."""
    description: str
    """For people and agents."""
    timeout: float | None
    """Seconds that a call of it may take; ``None``: as long as the call that calls it."""
    streaming: bool
    """Whether adapters iterate over what it yields."""
    running: int
    """Calls of it that run now, those included that nobody waits for any more."""


class Bound:
    """A function, and how it is called."""

    def __init__(self, name: str, function: Callable[..., Any], params: Params) -> None:
        self.name = name
        self.params = params
        self.function = function
        bare = _callable_of(function)
        self.asynchronous = inspect.iscoroutinefunction(bare) or inspect.isasyncgenfunction(bare)
        self.streaming = inspect.isgeneratorfunction(bare) or inspect.isasyncgenfunction(bare)
        self.running = 0
        """How many of its calls run; kept by the toolbox, under its lock."""

    def begin(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function."""
        if self.params == "mapping":
            return self.function(arguments)
        return self.function(**arguments)


def _callable_of(function: Callable[..., Any]) -> Any:
    # An object is called by its class's __call__, whose kind is what counts.
    if inspect.isroutine(function) or hasattr(function, "func"):
        return function
    return getattr(function, "__call__", function)  # noqa: B004, the method itself is looked at


def describe_function(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring."""
    lines = (inspect.getdoc(function) or "").strip().splitlines()
    return lines[0] if lines and _callable_of(function) is function else ""


class Toolbox:
    """The host tools of one pool; made with its first one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._runner = runner = _Runner()
        # The engine has them, and lets go of those of a session when that has ended.
        self._bound: weakref.WeakValueDictionary[tuple[str, str | None], Bound] = (
            weakref.WeakValueDictionary()
        )
        self.any_async = False
        """Calls of this pool tell the loop that makes them: a coroutine may have to run there."""
        # Of a pool that is dropped without being closed; its threads know the runner alone.
        self._dropped = weakref.finalize(self, runner.dismiss)
        self._dropped.atexit = False

    def register(
        self,
        name: str,
        bound: Bound,
        session: str | None,
        description: str,
        timeout: float | None,
    ) -> None:
        queue = self._runner.queue
        self._engine.register_tool(
            queue, bound, name, session, description, timeout, bound.streaming
        )
        # Only from here on: a pool that refuses it has not seen it.
        self._bound[name, session] = bound
        self.any_async |= bound.asynchronous
        _nesting.seen = True
        if queue.wants_thread():
            self._runner.start()

    def unregister(self, name: str, session: str | None) -> bool:
        self._bound.pop((name, session), None)
        return self._engine.unregister_tool(name, session)

    def listing(self) -> list[HostTool]:
        with self._runner.lock:
            running = {key: bound.running for key, bound in self._bound.items()}
        return [
            HostTool(*row, running=running.get((row[0], row[1]), 0))
            for row in self._engine.host_tools()
        ]

    def close(self) -> None:
        """Take no more calls; wait a second at most for those that run, and say which go on."""
        self._runner.close()
        self._bound.clear()


class _Runner:
    """Threads, and where none is running, a loop."""

    def __init__(self) -> None:
        self.queue = _core.HostQueue(MAX_THREADS)
        self.lock = threading.Lock()
        self._threads: dict[threading.Thread, str | None] = {}
        self._loop: HostLoop | None = None
        self._closed = False

    def dismiss(self) -> None:
        """Let the threads go, without waiting for them."""
        self.queue.close()
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        loop = self._loop
        self.dismiss()
        until = time.monotonic() + _CLOSING
        if loop is not None:
            loop.join(_CLOSING)
        with self.lock:
            threads = [*self._threads]
        for thread in threads:
            if thread is threading.current_thread():
                continue  # It is a host tool that closes its pool.
            thread.join(max(0.0, until - time.monotonic()))
            with self.lock:
                name = self._threads.get(thread)
            if thread.is_alive() and name is not None:
                _LOG.warning(
                    "host tool %r still runs in thread %s of a pool that is closed; nobody waits "
                    "for it, and it ends with this program",
                    name,
                    thread.name,
                )

    def start(self) -> None:
        """Start a thread, which the queue has counted."""
        thread = threading.Thread(target=self._serve, name="snakepit-host-tool", daemon=True)
        with self.lock:
            self._threads[thread] = None
        try:
            thread.start()
        except RuntimeError:
            # No more threads can be had: those that are there serve on.
            self.queue.no_thread()
            with self.lock:
                del self._threads[thread]

    def _serve(self) -> None:
        thread = threading.current_thread()
        try:
            while (taken := self.queue.next(_IDLE)) is not None:
                call, more = taken
                if more:
                    self.start()
                self._note(thread, call.tool, +1)
                try:
                    self._run(call)
                finally:
                    self._note(thread, call.tool, -1)
                del call, taken
        finally:
            with self.lock:
                self._threads.pop(thread, None)

    def count(self, bound: Bound, change: int) -> None:
        """So many more of its calls run."""
        with self.lock:
            bound.running += change

    def _note(self, thread: threading.Thread, bound: Bound, change: int) -> None:
        with self.lock:
            bound.running += change
            self._threads[thread] = bound.name if change > 0 else None

    def _run(self, call: NativeHostCall) -> None:
        bound: Bound = call.tool
        context = copy_context()
        context.run(_nesting.running.set, call)
        span = None if _nesting.tracing is None else _nesting.tracing.entered(call)
        if span is not None:
            context.run(span.attach)
        asked = _Asked(call, span)
        try:
            arguments = call.arguments()
            if bound.asynchronous:
                self._hand_over(asked, context, lambda: bound.begin(arguments))
                return
            result = context.run(bound.begin, arguments)
            if hasattr(type(result), "__await__"):  # of a plain function around a coroutine's
                self._hand_over(asked, context, lambda: result)
            elif bound.streaming:
                context.run(_send_all, asked, result)
            else:
                asked.succeed(result)
        except BaseException as error:
            asked.fail(error)

    def _hand_over(self, asked: _Asked, context: Context, begin: Callable[[], Any]) -> None:
        """Have a task of the caller's loop do it, or one of the pool's own."""
        loop = asked.call.origin
        if loop is None or loop.is_closed():
            loop = self._own_loop()
        # RuntimeError: it was closed meanwhile, and the call has failed.
        loop.call_soon_threadsafe(_Task(self, asked, begin, loop).start, context=context)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self.lock:
            if self._loop is None:
                self._loop = HostLoop()
            return self._loop.loop


class _Asked:
    """A call of a host tool, and its span. That ends before whoever waits for the answer has it."""

    def __init__(self, call: NativeHostCall, span: HostSpan | None) -> None:
        self.call = call
        self._span = span

    def succeed(self, value: Any) -> None:
        if self._span is not None:
            self._span.end()
        self.call.succeed(value)

    def end(self) -> None:
        """Of its items."""
        if self._span is not None:
            self._span.end()
        self.call.end()

    def fail(self, error: BaseException) -> None:
        if self._span is not None:
            self._span.end(error)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        self.call.fail(_report(type(error), error, trace))

    def let_go(self) -> None:
        """Nobody wants more of its items."""
        if self._span is not None:
            self._span.end()


class _Task:
    """A coroutine, or an asynchronous generator, on a loop."""

    def __init__(
        self,
        runner: _Runner,
        asked: _Asked,
        begin: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._runner = runner
        self._asked = asked
        self._call = asked.call
        self._begin = begin
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._token = 0

    def start(self) -> None:
        """On the loop, in the context of the call."""
        self._runner.count(self._call.tool, +1)
        self._task = self._loop.create_task(self._answer())
        self._task.add_done_callback(self._ended)
        # The loop holds a task weakly, the call holds this.
        self._token = self._call.on_cancel(self._cancel)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._call.forget(self._token)
        self._runner.count(self._call.tool, -1)
        self._task = None

    def _cancel(self) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # The loop is closed, and the task with it.
            self._loop.call_soon_threadsafe(self._cancel_here)

    def _cancel_here(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _answer(self) -> None:
        asked = self._asked
        try:
            result = self._begin()
            if self._call.tool.streaming:
                await _send_all_async(asked, result)
            else:
                asked.succeed(await result)
        except asyncio.CancelledError as error:
            asked.fail(error)
            raise
        except BaseException as error:
            asked.fail(error)
            if not isinstance(error, Exception):
                raise


def _send_all(asked: _Asked, items: Iterator[Any]) -> None:
    try:
        for item in items:
            if not asked.call.send(item):
                asked.let_go()
                return
        asked.end()
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()  # Its ``finally`` runs here, not when somebody collects it.


async def _send_all_async(asked: _Asked, items: AsyncIterator[Any]) -> None:
    call = asked.call
    try:
        async for item in items:
            sent = call.try_send(item)
            if sent is None:
                sent = await asyncio.to_thread(call.send, item)
            if not sent:
                asked.let_go()
                return
        asked.end()
    finally:
        aclose: Callable[[], Awaitable[object]] | None = getattr(items, "aclose", None)
        if aclose is not None:
            await aclose()
