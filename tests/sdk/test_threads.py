"""What a worker tells of where its threads and its asyncio tasks are."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from snakepit_bridge import _task_stacks
from snakepit_bridge._threads import where

OF_LOOP = "of-the-loop"


@contextmanager
def looping(main: Callable[[], Any]) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop on a thread of its own, once ``main`` has run on it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=OF_LOOP)
    thread.start()

    async def begin() -> None:
        main()
        # Each of them has come to where it waits.
        for _ in range(10):
            await asyncio.sleep(0)

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()

    try:
        asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def tasks_of(text: str) -> list[str]:
    """What is told of each task, or of those at one place."""
    _, _, tasks = text.partition("Tasks of the event loop of thread of-the-loop:\n\n")
    return tasks.split("\n\n") if tasks else []


async def innermost() -> None:
    await asyncio.get_running_loop().create_future()  # here it waits


async def between() -> None:
    await innermost()


class Awaitable:
    def __await__(self) -> Iterator[Any]:
        return (yield from between().__await__())


async def items() -> AsyncIterator[int]:
    yield 1
    await Awaitable()
    yield 2


async def outermost() -> None:
    async for _ in items():
        pass


@pytest.fixture(params=[False, True], ids=["looked-at", "asked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways, whichever this Python needs."""
    is_off = bool(request.param)
    if not is_off and _task_stacks.is_off():
        pytest.skip("a loop that goes on meanwhile may not be looked at")
    monkeypatch.setattr(_task_stacks, "is_off", lambda: is_off)
    return is_off


@pytest.mark.usefixtures("way")
def test_a_task_is_followed_to_where_it_waits() -> None:
    kept = list[Any]()
    with looping(lambda: kept.append(asyncio.create_task(outermost(), name="the one"))):
        [told] = tasks_of(where())
    head, *stack = told.splitlines()
    assert head == "Task the one, coroutine outermost, waiting for Future (most recent call last):"
    names = [line.rpartition(" in ")[2] for line in stack if line.startswith("  File ")]
    assert names == ["outermost", "items", "__await__", "between", "innermost"]
    assert stack[-1].endswith("create_future()  # here it waits")


@pytest.mark.usefixtures("way")
def test_who_waits_for_whom_is_told() -> None:
    kept = list[Any]()

    async def waits() -> None:
        await kept[0]

    async def gathers() -> None:
        await asyncio.gather(kept[0], kept[0])

    def begin() -> None:
        kept.append(asyncio.create_task(innermost(), name="a"))
        kept.append(asyncio.create_task(waits(), name="bb"))
        kept.append(asyncio.create_task(gathers(), name="ccc"))

    with looping(begin):
        heads = [told.splitlines()[0] for told in tasks_of(where())]
    assert [head.partition(" (")[0] for head in heads] == [
        "Task a, coroutine innermost, waiting for Future",
        f"Task bb, coroutine {waits.__qualname__}, waiting for task a",
        f"Task ccc, coroutine {gathers.__qualname__}, waiting for _GatheringFuture",
    ]


@pytest.mark.usefixtures("way")
def test_many_tasks_and_deep_ones_are_bounded() -> None:
    kept = list[Any]()

    async def deep(left: int) -> None:
        if left:
            return await deep(left - 1)
        await asyncio.get_running_loop().create_future()

    def begin() -> None:
        kept.extend(asyncio.create_task(innermost()) for _ in range(300))
        kept.append(asyncio.create_task(deep(200), name="a deep one"))
        # Each of another depth, so each at another place.
        kept.extend(asyncio.create_task(deep(depth), name=f"{depth:04}") for depth in range(200))

    with looping(begin):
        text = where()
        told = tasks_of(text)
    assert len(text.encode()) < 64 * 1024 - 8
    [many] = [part for part in told if part.startswith("300 tasks ")]
    assert many.count("Task-") == _task_stacks.MAX_NAMES
    assert "and 295 more, coroutine innermost" in many
    assert len(told) <= _task_stacks.MAX_KINDS + 1
    assert "… cut" in text or "other places" in text


def test_a_deep_task_shows_its_innermost_frames() -> None:
    async def deep(left: int) -> None:
        if left:
            # Else lines that are the same would be told as one.
            return await (deep if left % 2 else deeper)(left - 1)
        await innermost()

    async def deeper(left: int) -> None:
        await deep(left - 1)

    kept = list[Any]()
    with looping(lambda: kept.append(asyncio.create_task(deep(100)))):
        [told] = tasks_of(where())
    assert told.count("  File ") == _task_stacks.MAX_DEPTH
    assert " more\n  File " in told
    assert told.rstrip().endswith("# here it waits")


def test_a_loop_that_is_blocked_is_looked_at(way: bool) -> None:
    kept, entered, leave = list[Any](), threading.Event(), threading.Event()

    async def block() -> None:
        entered.set()
        leave.wait(30)

    async def after() -> None:
        pass

    with looping(lambda: kept.append(asyncio.create_task(innermost(), name="the other"))) as loop:
        blocking = asyncio.run_coroutine_threadsafe(block(), loop)
        try:
            assert entered.wait(30)
            never = asyncio.run_coroutine_threadsafe(after(), loop)
            text = where()
            assert f"in {block.__name__}" in text.partition("Tasks of")[0], "its thread tells"
            if way:
                assert "thread of-the-loop: not told. It does not answer now" in text
            else:
                heads = [told.splitlines()[0] for told in tasks_of(text)]
                assert any("running, see its thread" in head for head in heads)
                assert any("Task the other, coroutine innermost, waiting" in it for it in heads)
        finally:
            leave.set()
        blocking.result(30)
        never.result(30)


def test_a_task_that_has_not_begun_is_told_as_that() -> None:
    made, entered, leave = list[Any](), threading.Event(), threading.Event()

    async def block() -> None:
        made.append(asyncio.create_task(innermost(), name="young"))
        entered.set()
        leave.wait(30)

    if _task_stacks.is_off():
        pytest.skip("a loop that is blocked may not be looked at")
    with looping(lambda: None) as loop:
        blocking = asyncio.run_coroutine_threadsafe(block(), loop)
        try:
            assert entered.wait(30)
            text = where()
        finally:
            leave.set()
        blocking.result(30)
    assert "Task young, coroutine innermost, not begun" in text


@pytest.mark.usefixtures("way")
def test_no_code_of_the_tasks_runs_and_nothing_is_kept() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("nobody is to show a value")

        def __getattr__(self, name: str) -> Any:
            if name in ("throw", "close"):  # the interpreter does, to cancel it
                raise AttributeError(name)
            raise AssertionError(f"nobody is to ask for {name}")

        def __await__(self) -> Iterator[Any]:
            return self

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            return None

    async def holds(loud: Loud) -> None:
        await loud

    kept = list[Any]()

    def begin() -> None:
        loud = Loud()
        kept.append(weakref.ref(loud))
        kept.append(asyncio.create_task(holds(loud), name="spins"))

    with looping(begin) as loop:
        # It takes a step in each turn of the loop, so it is looked at wherever it is.
        texts = [where() for _ in range(20)]
        assert all("not told" not in text for text in texts), texts
        assert all("Task spins" in text for text in texts), texts
        gc.disable()
        try:
            task = kept.pop()
            loop.call_soon_threadsafe(task.cancel)
            del task
            until = time.monotonic() + 30
            while kept[0]() is not None and time.monotonic() < until:
                time.sleep(0.01)
            assert kept[0]() is None, "no cycle holds what a frame had"
        finally:
            gc.enable()


def test_what_goes_wrong_is_told_in_place_of_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> Any:
        raise ValueError("out of order")

    monkeypatch.setattr(_task_stacks, "_kinds", refuses)
    with looping(lambda: None):
        text = where()
    assert (
        "Tasks of the event loop of thread of-the-loop: not told, ValueError: out of order" in text
    )
    assert "Thread of-the-loop (most recent call last):" in text


def test_without_a_loop_no_task_is_told() -> None:
    assert "Tasks of" not in where()


def test_a_stack_that_was_cut_while_it_was_followed_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What suspends meanwhile has no callers any more, and they lead to the loop."""
    kept, looks = list[Any](), list[int]()
    frames_of = sys._current_frames

    def current_frames() -> dict[int, Any]:
        looks.append(len(looks))
        frames = frames_of()
        if len(looks) < 3:
            [ident] = [thread.ident for thread in threading.enumerate() if thread.name == OF_LOOP]
            assert ident is not None
            frames[ident] = kept[0].get_coro().cr_frame
        return frames

    with looping(lambda: kept.append(asyncio.create_task(innermost(), name="it"))):
        monkeypatch.setattr(sys, "_current_frames", current_frames)
        text = where()
    assert len(looks) == 3
    assert "Task it, coroutine innermost" in text
    assert "in run_forever\n" in text
