"""What the faces need of an engine: the native one (``_core.Pool``) or the one of ``inline=True``.

Only types; the meaning of each method is written in ``_core.pyi``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from snakepit import _core


class NativeReply(Protocol):
    """A call under way."""

    def done(self) -> bool: ...
    def running(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def cancel(self) -> bool: ...
    def result(self, timeout: float | None = None) -> Any: ...
    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def watch(self, callback: Callable[[], object]) -> None: ...


class NativeChunks(Protocol):
    """Reader of one stream."""

    def __next__(self) -> Any: ...
    def next_async(self, inbox: _core.Inbox, future: asyncio.Future[Any]) -> bool: ...
    def expire(self) -> None: ...
    def close(self) -> None: ...


class NativeSession(Protocol):
    """A session of one engine."""

    @property
    def id(self) -> str: ...
    @property
    def generation(self) -> int: ...


class Engine(Protocol):
    """Runs the calls of one pool."""

    @property
    def closed(self) -> bool: ...
    @property
    def forked(self) -> bool: ...
    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Any,
        timeout: float | None,
        idempotent: bool,
        retry: _core.RetryPolicy | None = None,
    ) -> Any: ...
    def submit(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Any,
        timeout: float | None,
        idempotent: bool,
        retry: _core.RetryPolicy | None = None,
    ) -> NativeReply: ...
    def execute_async(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Any,
        timeout: float | None,
        idempotent: bool,
        inbox: _core.Inbox,
        future: asyncio.Future[Any],
        retry: _core.RetryPolicy | None = None,
    ) -> NativeReply: ...
    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None,
        session: Any,
        timeout: float | None,
        idle_timeout: float | None,
    ) -> NativeChunks: ...
    def session(self, session_id: str, affinity: str | None) -> NativeSession: ...
    def stats(self) -> _core._Stats: ...
    def workers(self) -> list[_core._Worker]: ...
    def info(self) -> _core._Info: ...
    def health(self) -> _core._Health: ...
    def monitor(self, monitor: _core.HealthMonitor) -> None: ...
    def await_ready(self, timeout: float | None) -> None: ...
    def recycle(self, slot: int, generation: int | None) -> bool: ...
    def close(self, drain: float) -> None: ...
    def kill(self) -> None: ...
