"""Completions for asyncio: one inbox for each event loop.

The engine puts finished calls into the loop's inbox, and an eventfd wakes the loop once for all of
them; no other thread needs the interpreter. An inbox lives as long as its loop. It is closed when
the loop shuts down its asynchronous generators, as ``asyncio.run`` does before it closes the loop:
a generator that the loop knows is the only notice of its end that a loop gives. For a loop that
was closed without it, the next loop's first call clears up. Calls of a closed inbox are cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from snakepit import _core
from snakepit.errors import SnakepitError

T = TypeVar("T")

_inboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _core.Inbox] = (
    weakref.WeakKeyDictionary()
)
_opening = threading.Lock()


def inbox_of(loop: asyncio.AbstractEventLoop) -> _core.Inbox:
    """Return the inbox of the running ``loop``, opened at its first call."""
    inbox = _inboxes.get(loop)
    return _open(loop) if inbox is None else inbox


def _open(loop: asyncio.AbstractEventLoop) -> _core.Inbox:
    inbox = _core.Inbox()
    end = _close_with_loop(inbox)
    try:
        # The loop, not the dictionary, keeps the generator: it refers to the loop.
        loop.add_reader(inbox.fileno(), _drain, inbox, end)
    except NotImplementedError as error:
        inbox.close()
        raise SnakepitError(
            f"{type(loop).__name__} cannot watch a descriptor; use asyncio.SelectorEventLoop"
        ) from error
    _start(end)
    with _opening:
        for other in [known for known in _inboxes if known.is_closed()]:
            _inboxes.pop(other).close()
        _inboxes[loop] = inbox
    return inbox


def close_all() -> None:
    """Drop what would still be delivered: the interpreter ends, in whatever state loops are."""
    with _opening:
        inboxes = list(_inboxes.values())
    for inbox in inboxes:
        inbox.close()


def _drain(inbox: _core.Inbox, end: AsyncGenerator[None]) -> None:
    inbox.drain()


async def _close_with_loop(inbox: _core.Inbox) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        loop = asyncio.get_running_loop()
        loop.remove_reader(inbox.fileno())
        with _opening:
            _inboxes.pop(loop, None)
        inbox.close()


def _start(end: AsyncGenerator[None]) -> None:
    # To the first yield, which waits for nothing; from here on the loop knows the generator.
    with contextlib.suppress(StopIteration):
        end.__anext__().send(None)


async def off_loop(function: Callable[[], T]) -> T:
    """Call a function that blocks on a thread of its own.

    Not the loop's executor: ``asyncio.run`` would wait at its end for a thread that waits itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            _post(loop, _fail, future, error)
        else:
            _post(loop, _answer, future, result)

    threading.Thread(target=run, name="snakepit-wait", daemon=True).start()
    return await future


def _post(loop: asyncio.AbstractEventLoop, answer: Callable[..., None], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # The loop is closed; nobody waits any more.
        loop.call_soon_threadsafe(answer, *args)


def _answer(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[object], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
