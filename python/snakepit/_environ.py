"""The environment that a worker starts with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from snakepit import _core
from snakepit.errors import ConfigError

_STRICT = frozenset(_core.STRICT_ENVIRONMENT)


def worker_environment(
    env: object, secrets: Iterable[str], size: int, foreign: bool, pythonpath: Iterable[str]
) -> dict[str, str]:
    """Build the whole environment of a worker.

    Args:
        env: ``"inherit"``, ``"strict"``, or a mapping that is laid over what is inherited
            (``None`` as a value removes the name).
        secrets: Names that are removed in any case.
        size: Workers of the pool, who share the cores.
        foreign: The worker runs another interpreter than this process.
        pythonpath: Directories for the front of a foreign interpreter's ``PYTHONPATH``.
    """
    given: Mapping[object, object] = {}
    if isinstance(env, Mapping):
        given = env
    elif env not in ("inherit", "strict"):
        raise ConfigError(
            f'env: "inherit", "strict" or a mapping is needed, not {env!r}',
            field="env",
            suggestion="inherit",
        )
    result = {name: value for name, value in os.environ.items() if _passes(name, env)}
    if foreign:
        for name in _core.OF_ONE_INTERPRETER:
            result.pop(name, None)
    for key, value in given.items():
        if value is None and isinstance(key, str):
            result.pop(key, None)
        else:
            result.update((_checked(key, value),))
    for name in _names(secrets):
        result.pop(name, None)
    if foreign and (front := list(pythonpath)):
        rest = [result["PYTHONPATH"]] if result.get("PYTHONPATH") else []
        result["PYTHONPATH"] = os.pathsep.join(front + rest)
    threads = str(max(1, _usable_cores() // size))
    return dict.fromkeys(_core.THREAD_COUNTS, threads) | result


def _passes(name: str, env: object) -> bool:
    # The host's own settings are no business of a worker, which gets them by its control socket.
    if name.startswith("SNAKEPIT_"):
        return False
    return env != "strict" or name in _STRICT or name.startswith("LC_")


def _checked(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        raise ConfigError(f"env: {name!r} is no name of a variable", field="env")
    if not isinstance(value, str) or "\0" in value:
        raise ConfigError(
            f"env: the value of {name} is a string, or None to remove it, not {value!r}",
            field="env",
        )
    return name, value


def _names(secrets: Iterable[str]) -> list[str]:
    names = [secrets] if isinstance(secrets, str) else list(secrets)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError("secrets: names of variables are needed", field="secrets")
    return names


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Only Linux tells.
        return os.cpu_count() or 1
