"""Pools of warm, supervised worker processes that run Python tools.

``Pool`` for threads, ``AsyncPool`` for asyncio; every error is a ``SnakepitError``. Adapters are
written with the package ``snakepit_bridge``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit import errors
from snakepit._core import __version__
from snakepit._duration import UNSET
from snakepit._future import Future
from snakepit._pool import Pool
from snakepit._session import AsyncSession, Session
from snakepit._source import Program
from snakepit._stream import Stream
from snakepit.errors import (
    AdapterSourceError,
    CallTimeout,
    Cancelled,
    CircuitOpen,
    ConfigError,
    DecodeError,
    EncodeError,
    ForkedPool,
    MessageTooLarge,
    PoisonCall,
    PoolClosed,
    QueueFull,
    ReentrantCall,
    RemoteError,
    SessionBusy,
    SessionExpired,
    SessionLost,
    SnakepitError,
    StartError,
    ToolNotFound,
    WorkerDied,
)

if TYPE_CHECKING:
    from snakepit import executor
    from snakepit._async import AsyncPool
    from snakepit._async_stream import AsyncStream
    from snakepit._breaker import BreakerStats, CircuitBreaker
    from snakepit._cleanup import CleanupReport, cleanup
    from snakepit._guard import CrashBarrier, WorkerBreaker
    from snakepit._health import HealthMonitor, HealthStats, WorkerHealth
    from snakepit._info import PoolInfo, PythonInfo, WorkerDetail
    from snakepit._life import Heartbeat, Recycle
    from snakepit._limits import Limits
    from snakepit._pool_health import PoolHealth, WorkerFacts
    from snakepit._retry import Backoff, RetryBudget, RetryPolicy
    from snakepit._stats import PoolStats, WorkerInfo, WorkerRef

__all__ = [
    "UNSET",
    "AdapterSourceError",
    "AsyncPool",
    "AsyncSession",
    "AsyncStream",
    "Backoff",
    "BreakerStats",
    "CallTimeout",
    "Cancelled",
    "CircuitBreaker",
    "CircuitOpen",
    "CleanupReport",
    "ConfigError",
    "CrashBarrier",
    "DecodeError",
    "EncodeError",
    "ForkedPool",
    "Future",
    "HealthMonitor",
    "HealthStats",
    "Heartbeat",
    "Limits",
    "MessageTooLarge",
    "PoisonCall",
    "Pool",
    "PoolClosed",
    "PoolHealth",
    "PoolInfo",
    "PoolStats",
    "Program",
    "PythonInfo",
    "QueueFull",
    "Recycle",
    "ReentrantCall",
    "RemoteError",
    "RetryBudget",
    "RetryPolicy",
    "Session",
    "SessionBusy",
    "SessionExpired",
    "SessionLost",
    "SnakepitError",
    "StartError",
    "Stream",
    "ToolNotFound",
    "WorkerBreaker",
    "WorkerDetail",
    "WorkerDied",
    "WorkerFacts",
    "WorkerHealth",
    "WorkerInfo",
    "WorkerRef",
    "__version__",
    "cleanup",
    "errors",
    "executor",
]

# Imported at first use: asyncio and dataclasses would double the time that a host takes to start.
_LAZY = {
    "AsyncPool": "snakepit._async",
    "AsyncStream": "snakepit._async_stream",
    "CleanupReport": "snakepit._cleanup",
    "cleanup": "snakepit._cleanup",
    "Backoff": "snakepit._retry",
    "BreakerStats": "snakepit._breaker",
    "CircuitBreaker": "snakepit._breaker",
    "CrashBarrier": "snakepit._guard",
    "HealthMonitor": "snakepit._health",
    "HealthStats": "snakepit._health",
    "Heartbeat": "snakepit._life",
    "Limits": "snakepit._limits",
    "PoolHealth": "snakepit._pool_health",
    "PoolInfo": "snakepit._info",
    "PythonInfo": "snakepit._info",
    "PoolStats": "snakepit._stats",
    "Recycle": "snakepit._life",
    "RetryBudget": "snakepit._retry",
    "RetryPolicy": "snakepit._retry",
    "WorkerBreaker": "snakepit._guard",
    "WorkerDetail": "snakepit._info",
    "WorkerFacts": "snakepit._pool_health",
    "WorkerHealth": "snakepit._health",
    "WorkerInfo": "snakepit._stats",
    "WorkerRef": "snakepit._stats",
    "executor": "snakepit",  # the module itself
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "executor":
        return import_module("snakepit.executor")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
