"""Names that the original Snakepit has for its keys, and what each means here.

A name either becomes keys of ours, or is a wish for what is always so here, or is refused with the
reason. Bare numbers of times are milliseconds, as there; texts have their unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from snakepit._settings._origin import At
from snakepit._settings._units import FLAG, WHOLE, Text

Given = tuple[tuple[str, ...], Any]
"""A path among our keys, and its value as a file would have it."""


@dataclass(frozen=True)
class Name:
    """What becomes of one of its keys."""

    read: Callable[[Any, At], Iterator[Given]]
    becomes: str
    """What the table of the guide says."""


def _as(*path: str) -> Name:
    def read(value: Any, at: At) -> Iterator[Given]:
        yield path, value

    return Name(read, f"`{'.'.join(path)}`")


def _milliseconds(*path: str) -> Name:
    def read(value: Any, at: At) -> Iterator[Given]:
        yield path, _in_seconds(value, at)

    return Name(read, f"`{'.'.join(path)}`; a bare number is milliseconds")


def _in_seconds(value: Any, at: At) -> Any:
    if type(value) is Text:
        value = WHOLE.parse(str(value))
    if value in ("infinity", ":infinity"):
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000
    if not isinstance(value, str):
        at.wrong("a number of milliseconds or a text with a unit", value)
    return value


def _refused(why: str) -> Name:
    def read(value: Any, at: At) -> NoReturn:
        at.refuse(why)

    return Name(read, f"refused: {why}")


def _always(wanted: object, why: str) -> Name:
    """A wish for what is so anyway."""

    def read(value: Any, at: At) -> Iterator[Given]:
        value = FLAG.parse(str(value)) if type(value) is Text else value
        if value != wanted:
            at.refuse(why)
        return iter(())

    shown = str(wanted).lower() if isinstance(wanted, bool) else f'"{wanted}"'
    return Name(read, f"`{shown}` is always so; otherwise refused: {why}")


def _dotted(text: str) -> str:
    """``module.Class`` as ``module:Class``."""
    module, _, name = text.rpartition(".")
    return f"{module}:{name}" if module and ":" not in text else text


def _adapter_module(value: Any, at: At) -> Iterator[Given]:
    if isinstance(value, str) and value.removeprefix("Elixir.").startswith("Snakepit.Adapters."):
        return  # The way to speak to Python; there is one here. ``adapter_args`` names the class.
    yield ("adapter",), _dotted(value) if isinstance(value, str) else value


def _adapter_spec(value: Any, at: At) -> Iterator[Given]:
    yield ("adapter",), _dotted(value) if isinstance(value, str) else value


def adapter_words(value: list[Any], at: At) -> Iterator[Given]:
    """``adapter_args`` as a command line: ``["--adapter", "my_app.adapters.Main"]``."""
    words = iter(value)
    for word in words:
        if word == "--adapter" and isinstance(name := next(words, None), str):
            yield ("adapter",), _dotted(name)
        else:
            at.refuse(
                f'only ["--adapter", "module.Class"] is understood of a command line, not {word!r};'
                " keywords of the adapter's __init__ are a table"
            )


def _adapter_env(value: Any, at: At) -> Iterator[Given]:
    if isinstance(value, list):
        pairs = (isinstance(it, list) and len(it) == 2 and isinstance(it[0], str) for it in value)
        if not all(pairs):
            at.wrong("a table, or an array of [name, value]", value)
        value = dict(value)
    yield ("env",), value


def _pool_config(value: Any, at: At) -> Iterator[Given]:
    if not isinstance(value, Mapping):
        at.wrong("a table", value)
    for key, each in value.items():
        name = NAMES.get(key)
        if name is None:
            yield (key,), each
        else:
            yield from name.read(each, at.of(key))


_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


def _worker_ttl(value: Any, at: At) -> Iterator[Given]:
    if value in ("infinity", ":infinity"):
        return
    if isinstance(value, list):
        number, unit = (*value, None, None)[:2]
        unit = unit.removeprefix(":") if isinstance(unit, str) else ""
        if unit not in _UNITS or isinstance(number, bool) or not isinstance(number, int | float):
            at.wrong(f"[number, unit] with a unit of {', '.join(_UNITS)}", value)
        value = number * _UNITS[unit]
    yield ("recycle", "age"), value


def _worker_max_requests(value: Any, at: At) -> Iterator[Given]:
    if value not in ("infinity", ":infinity"):
        yield ("recycle", "calls"), value


def _memory_threshold(value: Any, at: At) -> Iterator[Given]:
    yield ("recycle", "memory"), WHOLE.read(value, at) * 1024**2


def _session_store(value: Any, at: At) -> Iterator[Given]:
    if not isinstance(value, Mapping):
        at.wrong("a table", value)
    for key, each in value.items():
        if key != "max_sessions":
            at.of(key).refuse("there is no such limit; there are max_sessions and session_ttl")
        yield ("max_sessions",), each


def _zero_copy(value: Any, at: At) -> Iterator[Given]:
    if not isinstance(value, Mapping):
        at.wrong("a table", value)
    for key, each in value.items():
        if key == "enabled":
            if not FLAG.read(each, at.of(key)):
                yield ("shared_memory",), "none"
        else:
            at.of(key).refuse("see the keys of shared_memory")


def _telemetry_metrics(value: Any, at: At) -> Iterator[Given]:
    if not isinstance(value, Mapping):
        at.wrong("a table", value)
    for key in value:
        if key != "prometheus":
            at.of(key).refuse('there is "prometheus" alone')
    table, at = value.get("prometheus", {}), at.of("prometheus")
    if not isinstance(table, Mapping):
        at.wrong("a table", table)
    port = 9568
    for key, each in table.items():
        if key == "port":
            port = WHOLE.read(each, at.of(key))
        elif key == "ip" and each not in ("127.0.0.1", "localhost"):
            at.of(key).refuse("only this machine may ask: 127.0.0.1; leave it out")
        elif key not in ("enabled", "name", "protocol", "ip"):
            at.of(key).refuse("there are enabled, port, ip, name and protocol")
    if "enabled" in table and FLAG.read(table["enabled"], at.of("enabled")):
        yield ("metrics_port",), port


_PROBES = {
    "ping_interval_ms": "interval",
    "timeout_ms": "timeout",
    "max_missed_heartbeats": "missed",
    "initial_delay_ms": "initial_delay",
}


def heartbeat(table: Mapping[str, Any], at: At) -> Iterator[Given]:
    """Its table of heartbeats, which shares its name with ours. Keys of ours pass."""
    if "enabled" in table and not FLAG.read(table["enabled"], at.of("enabled")):
        yield ("heartbeat",), "none"
        return
    for key, value in table.items():
        if key in _PROBES:
            read = _in_seconds(value, at.of(key)) if key.endswith("_ms") else value
            yield ("heartbeat", _PROBES[key]), read
        elif key == "dependent":
            # Whether a worker that does not answer is ended for it.
            ends = FLAG.read(value, at.of(key))
            yield ("stall_kill",), 0 if ends else "none"
        elif key != "enabled":
            yield ("heartbeat", key), value


def crash_barrier(table: Mapping[str, Any], at: At) -> Iterator[Given]:
    """Its table of crash barriers, which shares its name with ours. Keys of ours pass."""
    if "enabled" in table and not FLAG.read(table["enabled"], at.of("enabled")):
        yield ("crash_barrier",), "none"
        return
    for key, value in table.items():
        if key == "taint_duration_ms":
            yield ("crash_barrier", "taint"), _in_seconds(value, at.of(key))
        elif key == "retry":
            if str(value).removeprefix(":") != "idempotent":
                at.of(key).refuse('only "idempotent" is possible: calls say idempotent=True')
        elif key != "enabled":
            yield ("crash_barrier", key), value


_ONE_DEADLINE = "one deadline covers waiting and running: timeout; how much may wait is max_queue"
_NO_PORT = "workers dial a Unix socket of this user, and nothing listens on a port"
_CLEANED = "workers end with their host, by whatever it ends, and nothing has to be set for it"
_NO_INSTALLER = "no interpreter or package is installed here; python names the interpreter"

NAMES: Mapping[str, Name] = {
    "pool_size": _as("size"),
    "worker_profile": _as("profile"),
    "adapter_module": Name(
        _adapter_module, "`adapter`; `Snakepit.Adapters.…` is left to `adapter_args` to name"
    ),
    "adapter_spec": Name(_adapter_spec, "`adapter`"),
    "adapter_env": Name(_adapter_env, "`env`"),
    "startup_batch_delay_ms": _milliseconds("startup_batch_delay"),
    "pool_config": Name(_pool_config, "its keys, as if they stood beside it"),
    "worker_ttl": Name(_worker_ttl, '`recycle.age`; `[1, "hours"]` and `"infinity"` too'),
    "worker_max_requests": Name(_worker_max_requests, "`recycle.calls`"),
    "memory_threshold_mb": Name(_memory_threshold, "`recycle.memory`, of real memory"),
    "pool_startup_timeout": _milliseconds("start_timeout"),
    "worker_ready_timeout": _milliseconds("start_timeout"),
    "pool_max_queue_size": _as("max_queue"),
    "default_timeout": _milliseconds("timeout"),
    "default_command_timeout": _milliseconds("timeout"),
    "pool_request_timeout": _milliseconds("timeout"),
    "pool_streaming_timeout": _milliseconds("stream_timeout"),
    "graceful_shutdown_timeout_ms": _milliseconds("grace"),
    "python_executable": _as("python"),
    "session_store": Name(_session_store, "`max_sessions`"),
    "zero_copy": Name(_zero_copy, '`enabled = false`: `shared_memory = "none"`'),
    "pool_queue_timeout": _refused(_ONE_DEADLINE),
    "queue_timeout": _refused(_ONE_DEADLINE),
    "checkout_timeout": _refused(_ONE_DEADLINE),
    "max_workers": _refused("a pool has exactly size workers; leave it out"),
    "capacity_strategy": _always("pool", "the pool counts the calls of each worker"),
    "grpc_port": _refused(_NO_PORT),
    "grpc_host": _refused(_NO_PORT),
    "cleanup_on_stop": _always(True, _CLEANED),
    "process_group_kill": _always(True, _CLEANED),
    "cleanup_on_stop_timeout_ms": _refused(_CLEANED),
    "cleanup_poll_interval_ms": _refused(_CLEANED),
    "cleanup_retry_interval_ms": _refused(_CLEANED),
    "cleanup_max_retries": _refused(_CLEANED),
    "rogue_cleanup": _refused(_CLEANED),
    "python_thread_limits": _refused('set the variables: env = { OMP_NUM_THREADS = "1" }'),
    "python_packages": _refused(_NO_INSTALLER),
    "library_mode": _refused("say pooling_enabled = false"),
    "log_python_output": _refused('say worker_output = "show", "log" or "drop"'),
    "telemetry_metrics": Name(
        _telemetry_metrics,
        "`metrics_port`, where `prometheus.enabled`; 9568, where `prometheus` has no `port`",
    ),
    "grpc_log_level": _refused("gRPC writes no log here; leave it out"),
}

OF_HOST = frozenset({"telemetry_metrics"})
"""Those that are said once, of the whole host."""


def is_python_table(key: str, value: object) -> bool:
    """Whether this is the original's table of interpreters to install."""
    return key == "python" and isinstance(value, Mapping)
