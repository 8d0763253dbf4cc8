"""The keys of a configuration: every parameter of ``Pool``, and what is said of the whole host."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snakepit._config import AFFINITIES, CONTROLS, LINES, PROFILES
from snakepit._logs import CATEGORIES
from snakepit._settings._origin import At
from snakepit._settings._timeouts import PROFILES as TIMEOUT_PROFILES
from snakepit._settings._units import (
    FLAG,
    FREE,
    NUMBER,
    SIZE,
    SPAN,
    SPAN_OR_NONE,
    TEXT,
    WHOLE,
    WORDS,
    Kind,
    as_toml,
    choice,
    either,
)
from snakepit.errors import ConfigError

OUTPUTS = ("show", "log", "drop")
LEVELS = ("debug", "info", "warning", "error", "none")


@dataclass(frozen=True)
class Group:
    """A key that has a table of keys."""

    keys: Mapping[str, Kind]
    build: Callable[[dict[str, Any]], Any] = dict
    """Makes of the table what ``Pool`` takes."""
    none: bool = False
    """Whether ``"none"`` is a value, too."""
    words: tuple[str, ...] = ()
    """Words that stand for a whole table."""

    @property
    def expected(self) -> str:
        """What it has, in words."""
        words = [f'"{word}"' for word in (*self.words, *(["none"] if self.none else []))]
        return " or ".join(["a table", *words])


def _retry(table: dict[str, Any]) -> Any:
    from snakepit._retry import Backoff, RetryPolicy

    if isinstance(backoff := table.get("backoff"), Mapping):
        table = {**table, "backoff": Backoff(**backoff)}
    return RetryPolicy(**table)


def _circuit_breaker(table: dict[str, Any]) -> Any:
    from snakepit._breaker import CircuitBreaker

    return CircuitBreaker(**table)


def _crash_barrier(table: dict[str, Any]) -> Any:
    from snakepit._guard import CrashBarrier

    return CrashBarrier(**table)


_GROWTH = {"base": SPAN, "max": SPAN, "multiplier": NUMBER}


def _backoff(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, list | tuple):
        return [SPAN.read(each, at) for each in value]
    if not isinstance(value, Mapping):
        return kind.wrong(value, at)
    for key in value:
        if key not in _GROWTH:
            at.refuse(f'there is no "{key}"; there are {", ".join(_GROWTH)}')
    return {key: _GROWTH[key].read(each, at.of(key)) for key, each in value.items()}


def _adapter(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(it, str) for it in value):
        from snakepit._source import Program

        first = _beside(value[0], at) if os.sep in value[0] else value[0]
        try:
            return Program(first, *value[1:])
        except ConfigError as error:
            at.refuse(error.message.removeprefix("adapter: "))
    return kind.wrong(value, at)


def _environment(value: Any, at: At, kind: Kind) -> Any:
    if isinstance(value, str):
        return choice("inherit", "strict").read(value, at)
    if isinstance(value, list | tuple):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            return kind.wrong(value, at)
        return (choice("inherit", "strict").read(value[0], at), _variables(value[1], at))
    if isinstance(value, Mapping):
        return _variables(value, at)
    return kind.wrong(value, at)


def _variables(table: Mapping[str, Any], at: At) -> dict[str, Any]:
    # TOML has no null: false removes a variable.
    read = dict[str, Any]()
    for name, value in table.items():
        listed = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if value is False or value is None:
            read[name] = None
        elif isinstance(value, str) or listed or at.origin.kind == "code":
            read[name] = value
        else:
            at.of(name).wrong("a text, an array of texts or false", value)
    return read


def _beside(path: str, at: At) -> str:
    """A path of a file of settings is meant from there, wherever the program runs."""
    if at.origin.file is None:
        return path
    folder = os.path.dirname(at.origin.file)
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))


def _interpreter(value: Any, at: At, kind: Kind) -> Any:
    if not isinstance(value, str):
        return kind.wrong(value, at)
    return _beside(value, at) if os.sep in value else value


def _directories(value: Any, at: At, kind: Kind) -> Any:
    return [
        _beside(each, at) if isinstance(each, str) else each for each in WORDS.take(value, at, kind)
    ]


def _stream_timeout(value: Any, at: At, kind: Kind) -> Any:
    # The original has a key of this name, in milliseconds: taken for seconds, it would be none.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and value >= _MORE_THAN_A_DAY and at.origin.kind != "code":
        at.refuse(
            f"{value} would be seconds, which is more than a day; write its unit",
            expected=kind.expected,
            got=str(value),
            suggestion=f"{value}ms",
        )
    return SPAN_OR_NONE.take(value, at, kind)


_MORE_THAN_A_DAY = 100_000


def _sigterm_in(text: str) -> Any:
    return FLAG.parse(text)


POOL: dict[str, Kind | Group] = {
    "adapter": Kind('a text "module:Class" or the words of a command', _adapter, as_toml),
    "size": WHOLE,
    "name": TEXT,
    "profile": choice(*PROFILES),
    "threads_per_worker": WHOLE,
    "max_in_flight": WHOLE,
    "thread_safety_checks": FLAG,
    "condemn_drain": SPAN,
    "adapter_args": FREE,
    "python": Kind(TEXT.expected, _interpreter, str),
    "pythonpath": Kind(WORDS.expected, _directories, WORDS.parse),
    "timeout": SPAN_OR_NONE,
    "stream_timeout": replace(SPAN_OR_NONE, take=_stream_timeout),
    "idle_timeout": SPAN_OR_NONE,
    "validate_arguments": FLAG,
    "max_queue": WHOLE,
    "max_queue_bytes": SIZE,
    "max_message": SIZE,
    "start_timeout": SPAN,
    "drain_timeout": SPAN,
    "grace": SPAN,
    "affinity": choice(*AFFINITIES),
    "session_ttl": SPAN_OR_NONE,
    "max_sessions": WHOLE,
    "heartbeat": Group(
        {"interval": SPAN, "timeout": SPAN, "missed": WHOLE, "initial_delay": SPAN}, none=True
    ),
    "stall_kill": SPAN_OR_NONE,
    "recycle": Group(
        {
            "calls": WHOLE,
            "age": SPAN,
            "memory": SIZE,
            "memory_growth": NUMBER,
            "jitter": NUMBER,
            "session_drain": SPAN,
            "at_once": NUMBER,
        },
        none=True,
    ),
    "startup_batch_size": WHOLE,
    "startup_batch_delay": SPAN,
    "max_failed_starts": WHOLE,
    "degraded_retry": SPAN,
    "limits": Group(
        {
            "nice": WHOLE,
            "address_space": SIZE,
            "open_files": WHOLE,
            "core_files": FLAG,
            "umask": WHOLE,
            "no_new_privs": FLAG,
            "oom_score": WHOLE,
        },
        none=True,
    ),
    "env": Kind('"inherit", "strict", a table, or a word and a table', _environment, as_toml),
    "devices": WORDS,
    "secrets": WORDS,
    "worker_output": choice(*OUTPUTS),
    "line": choice(*LINES),
    "inline": FLAG,
    "handle_sigterm": either(
        '"auto", true or false', lambda v: v == "auto" or isinstance(v, bool), _sigterm_in
    ),
    "retry": Group(
        {
            "max_attempts": WHOLE,
            "backoff": Kind("an array of durations or a table", _backoff, as_toml),
            "jitter": choice("full", "equal", "none"),
            "idempotent": FLAG,
        },
        _retry,
        none=True,
    ),
    "circuit_breaker": Group(
        {
            "failure_threshold": WHOLE,
            "reset_timeout": SPAN,
            "half_open_max_calls": WHOLE,
            "window": WHOLE,
            "minimum_calls": WHOLE,
            "failure_rate": NUMBER,
            "count_remote_errors": FLAG,
            "name": TEXT,
        },
        _circuit_breaker,
        none=True,
    ),
    "worker_breaker": Group(
        {
            "window": WHOLE,
            "minimum_calls": WHOLE,
            "failure_rate": NUMBER,
            "failure_threshold": WHOLE,
            "reset_timeout": SPAN,
            "count_remote_errors": FLAG,
        },
        none=True,
    ),
    "crash_barrier": Group({"taint": SPAN, "max_restarts": WHOLE}, _crash_barrier, none=True),
    "host_tool_depth": WHOLE,
    "unserializable": Group(
        {
            "arguments": choice("error", "marker"),
            "results": choice("error", "marker"),
            "detail": choice("none", "type", "repr_truncated", "repr_redacted_truncated"),
            "max_repr": WHOLE,
            "max_elements": WHOLE,
        },
        words=("error", "marker"),
    ),
    "errors": WORDS,
    "shared_memory": Group(
        {
            "max_bytes": SIZE,
            "threshold": SIZE,
            "wait": SPAN,
            "when_full": choice("inline", "error"),
        },
        none=True,
    ),
    "telemetry": Group({"sampling": NUMBER, "allow": WORDS, "deny": WORDS}),
    "opentelemetry": Group({"enabled": FLAG}),
    "control": choice(*CONTROLS),
}
"""What each pool has: the parameters of ``Pool``."""


def _categories(value: Any, at: At, kind: Kind) -> Any:
    return [choice(*CATEGORIES).read(each, at) for each in WORDS.take(value, at, kind)]


def _port(value: Any, at: At, kind: Kind) -> Any:
    if WHOLE.take(value, at, kind) not in range(65536):
        kind.wrong(value, at)
    return value


TIMEOUT_PROFILE = "timeout_profile"
OF_POOLS: dict[str, Kind | Group] = {**POOL, TIMEOUT_PROFILE: choice(*TIMEOUT_PROFILES)}

HOST: dict[str, Kind] = {
    "pooling_enabled": FLAG,
    "metrics_port": replace(WHOLE, expected="a port from 0 to 65535", take=_port),
    "log_level": choice(*LEVELS),
    "log_categories": Kind(
        "an array of " + ", ".join(f'"{it}"' for it in CATEGORIES), _categories, WORDS.parse
    ),
}
"""What is said once."""

POOLS = "pools"


def closest(name: str, *more: str) -> str | None:
    """The key that was meant by ``name``, most likely."""
    import difflib

    close = difflib.get_close_matches(name, [*OF_POOLS, *HOST, POOLS, *more], 1, 0.6)
    return close[0] if close else None
