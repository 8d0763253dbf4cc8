"""Pools of warm, supervised worker processes that run Python tools.

``Pool`` for threads, ``AsyncPool`` for asyncio; every error is a ``SnakepitError``. ``start()``
starts the pools that are configured by file or environment, for the functions of this module.
Adapters are written with the package ``snakepit_bridge``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakepit import errors, executor, hardware, telemetry, zero_copy
    from snakepit._async import AsyncPool
    from snakepit._async_stream import AsyncStream
    from snakepit._breaker import BreakerStats, CircuitBreaker
    from snakepit._cleanup import CleanupReport, cleanup
    from snakepit._core import SharedRef, __version__
    from snakepit._duration import UNSET
    from snakepit._functions import (
        await_ready,
        execute,
        execute_in_session,
        execute_in_session_stream,
        execute_stream,
        get_stats,
        list_workers,
        submit,
    )
    from snakepit._future import Future
    from snakepit._guard import CrashBarrier, WorkerBreaker
    from snakepit._health import HealthMonitor, HealthStats, WorkerHealth
    from snakepit._host_call import HostCall, current_call
    from snakepit._host_tools import HostTool
    from snakepit._info import PoolInfo, PythonInfo, WorkerDetail
    from snakepit._life import Heartbeat, Recycle
    from snakepit._limits import Limits
    from snakepit._metrics import Histogram, Metrics, PoolMetrics, ToolMetrics, metrics
    from snakepit._metrics_server import MetricsServer, serve_metrics
    from snakepit._pool import Pool
    from snakepit._pool_health import PoolHealth, WorkerFacts
    from snakepit._retry import Backoff, RetryBudget, RetryPolicy
    from snakepit._script import run_as_script
    from snakepit._session import AsyncSession, Session
    from snakepit._settings import PoolSettings, Settings, settings
    from snakepit._shared_memory import SharedMemory
    from snakepit._source import Program
    from snakepit._started import get_pool, metrics_server, start, stop
    from snakepit._stats import PoolStats, SessionInfo, SharedMemoryStats, WorkerInfo, WorkerRef
    from snakepit._stream import Stream
    from snakepit._telemetry_filter import TelemetryFilter
    from snakepit._tools import ToolInfo
    from snakepit._unserializable import (
        Unserializable,
        UnserializableInfo,
        is_unserializable,
        unserializable_info,
    )
    from snakepit.errors import (
        AdapterSourceError,
        ArgumentError,
        CallTimeout,
        Cancelled,
        CircuitOpen,
        ConfigError,
        DecodeError,
        DeviceMismatch,
        DeviceNotAvailable,
        EncodeError,
        ForkedPool,
        MessageTooLarge,
        NotStarted,
        OutOfMemory,
        PoisonCall,
        PoolClosed,
        QueueFull,
        ReentrantCall,
        RemoteError,
        RemoteExceptionGroup,
        SessionBusy,
        SessionClosed,
        SessionExpired,
        SessionLost,
        SessionQuotaExceeded,
        ShapeMismatch,
        SnakepitError,
        StartError,
        ToolNotFound,
        WorkerDied,
    )
    from snakepit_bridge._interop import writable
    from snakepit_bridge._registry import register_decoder, register_encoder

__all__ = [
    "UNSET",
    "AdapterSourceError",
    "ArgumentError",
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
    "DeviceMismatch",
    "DeviceNotAvailable",
    "EncodeError",
    "ForkedPool",
    "Future",
    "HealthMonitor",
    "HealthStats",
    "Heartbeat",
    "Histogram",
    "HostCall",
    "HostTool",
    "Limits",
    "MessageTooLarge",
    "Metrics",
    "MetricsServer",
    "NotStarted",
    "OutOfMemory",
    "PoisonCall",
    "Pool",
    "PoolClosed",
    "PoolHealth",
    "PoolInfo",
    "PoolMetrics",
    "PoolSettings",
    "PoolStats",
    "Program",
    "PythonInfo",
    "QueueFull",
    "Recycle",
    "ReentrantCall",
    "RemoteError",
    "RemoteExceptionGroup",
    "RetryBudget",
    "RetryPolicy",
    "Session",
    "SessionBusy",
    "SessionClosed",
    "SessionExpired",
    "SessionInfo",
    "SessionLost",
    "SessionQuotaExceeded",
    "Settings",
    "ShapeMismatch",
    "SharedMemory",
    "SharedMemoryStats",
    "SharedRef",
    "SnakepitError",
    "StartError",
    "Stream",
    "TelemetryFilter",
    "ToolInfo",
    "ToolMetrics",
    "ToolNotFound",
    "Unserializable",
    "UnserializableInfo",
    "WorkerBreaker",
    "WorkerDetail",
    "WorkerDied",
    "WorkerFacts",
    "WorkerHealth",
    "WorkerInfo",
    "WorkerRef",
    "__version__",
    "await_ready",
    "cleanup",
    "current_call",
    "errors",
    "execute",
    "execute_in_session",
    "execute_in_session_stream",
    "execute_stream",
    "executor",
    "get_pool",
    "get_stats",
    "hardware",
    "is_unserializable",
    "list_workers",
    "metrics",
    "metrics_server",
    "register_decoder",
    "register_encoder",
    "run_as_script",
    "serve_metrics",
    "settings",
    "start",
    "stop",
    "submit",
    "telemetry",
    "unserializable_info",
    "writable",
    "zero_copy",
]

# Where each name is, to be imported at its first use: `snakepit --help` needs none of them, and
# asyncio and dataclasses would double the time that a host takes to start.
_LAZY = {
    "AdapterSourceError": "snakepit.errors",
    "ArgumentError": "snakepit.errors",
    "AsyncPool": "snakepit._async",
    "AsyncSession": "snakepit._session",
    "AsyncStream": "snakepit._async_stream",
    "Backoff": "snakepit._retry",
    "BreakerStats": "snakepit._breaker",
    "CallTimeout": "snakepit.errors",
    "Cancelled": "snakepit.errors",
    "CircuitBreaker": "snakepit._breaker",
    "CircuitOpen": "snakepit.errors",
    "CleanupReport": "snakepit._cleanup",
    "ConfigError": "snakepit.errors",
    "CrashBarrier": "snakepit._guard",
    "DecodeError": "snakepit.errors",
    "DeviceMismatch": "snakepit.errors",
    "DeviceNotAvailable": "snakepit.errors",
    "EncodeError": "snakepit.errors",
    "ForkedPool": "snakepit.errors",
    "Future": "snakepit._future",
    "HealthMonitor": "snakepit._health",
    "HealthStats": "snakepit._health",
    "Heartbeat": "snakepit._life",
    "Histogram": "snakepit._metrics",
    "HostCall": "snakepit._host_call",
    "HostTool": "snakepit._host_tools",
    "Limits": "snakepit._limits",
    "MessageTooLarge": "snakepit.errors",
    "Metrics": "snakepit._metrics",
    "MetricsServer": "snakepit._metrics_server",
    "NotStarted": "snakepit.errors",
    "OutOfMemory": "snakepit.errors",
    "PoisonCall": "snakepit.errors",
    "Pool": "snakepit._pool",
    "PoolClosed": "snakepit.errors",
    "PoolHealth": "snakepit._pool_health",
    "PoolInfo": "snakepit._info",
    "PoolMetrics": "snakepit._metrics",
    "PoolSettings": "snakepit._settings",
    "PoolStats": "snakepit._stats",
    "Program": "snakepit._source",
    "PythonInfo": "snakepit._info",
    "QueueFull": "snakepit.errors",
    "Recycle": "snakepit._life",
    "ReentrantCall": "snakepit.errors",
    "RemoteError": "snakepit.errors",
    "RemoteExceptionGroup": "snakepit.errors",
    "RetryBudget": "snakepit._retry",
    "RetryPolicy": "snakepit._retry",
    "Session": "snakepit._session",
    "SessionBusy": "snakepit.errors",
    "SessionClosed": "snakepit.errors",
    "SessionExpired": "snakepit.errors",
    "SessionInfo": "snakepit._stats",
    "SessionLost": "snakepit.errors",
    "SessionQuotaExceeded": "snakepit.errors",
    "Settings": "snakepit._settings",
    "ShapeMismatch": "snakepit.errors",
    "SharedMemory": "snakepit._shared_memory",
    "SharedMemoryStats": "snakepit._stats",
    "SharedRef": "snakepit._core",
    "SnakepitError": "snakepit.errors",
    "StartError": "snakepit.errors",
    "Stream": "snakepit._stream",
    "TelemetryFilter": "snakepit._telemetry_filter",
    "ToolInfo": "snakepit._tools",
    "ToolMetrics": "snakepit._metrics",
    "ToolNotFound": "snakepit.errors",
    "UNSET": "snakepit._duration",
    "Unserializable": "snakepit._unserializable",
    "UnserializableInfo": "snakepit._unserializable",
    "WorkerBreaker": "snakepit._guard",
    "WorkerDetail": "snakepit._info",
    "WorkerDied": "snakepit.errors",
    "WorkerFacts": "snakepit._pool_health",
    "WorkerHealth": "snakepit._health",
    "WorkerInfo": "snakepit._stats",
    "WorkerRef": "snakepit._stats",
    "__version__": "snakepit._core",
    "await_ready": "snakepit._functions",
    "cleanup": "snakepit._cleanup",
    "current_call": "snakepit._host_call",
    "errors": "snakepit",
    "execute": "snakepit._functions",
    "execute_in_session": "snakepit._functions",
    "execute_in_session_stream": "snakepit._functions",
    "execute_stream": "snakepit._functions",
    "executor": "snakepit",
    "get_pool": "snakepit._started",
    "get_stats": "snakepit._functions",
    "hardware": "snakepit",
    "is_unserializable": "snakepit._unserializable",
    "list_workers": "snakepit._functions",
    "metrics": "snakepit._metrics",
    "metrics_server": "snakepit._started",
    "register_decoder": "snakepit_bridge._registry",
    "register_encoder": "snakepit_bridge._registry",
    "run_as_script": "snakepit._script",
    "serve_metrics": "snakepit._metrics_server",
    "settings": "snakepit._settings",
    "start": "snakepit._started",
    "stop": "snakepit._started",
    "submit": "snakepit._functions",
    "telemetry": "snakepit",
    "unserializable_info": "snakepit._unserializable",
    "writable": "snakepit_bridge._interop",
    "zero_copy": "snakepit",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if _LAZY[name] == "snakepit":
        return import_module(f"snakepit.{name}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
