"""The environment that a worker starts with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from snakepit import _core
from snakepit.errors import ConfigError

Base = Literal["inherit", "strict"]
Variables = Mapping[str, str | Sequence[str] | None]
Environment = Base | Variables | tuple[Base, Variables]
"""What ``Pool`` takes as ``env``."""

_STRICT = frozenset(_core.STRICT_ENVIRONMENT + _core.THREAD_COUNTS)
_PLACE = "slot"
_NAME = "[a-z_][a-z0-9_]*"


def worker_environment(
    env: object, secrets: Iterable[str], size: int, foreign: bool, pythonpath: Iterable[str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Build the whole environment of a worker: what all workers have, and what depends on the slot.

    The latter is told by the values that the slots have in turn, with ``{slot}`` still in them.

    Args:
        env: ``"inherit"``, ``"strict"``, a mapping that is laid over what is inherited (``None`` as
            a value removes the name), or one of the words and a mapping.
        secrets: Names that are removed in any case.
        size: Workers of the pool, or their threads, who share the cores.
        foreign: The worker runs another interpreter than this process.
        pythonpath: Directories for the front of a foreign interpreter's ``PYTHONPATH``.
    """
    base, given = _parts(env)
    result = {name: value for name, value in os.environ.items() if _passes(name, base)}
    if foreign:
        for name in _core.OF_ONE_INTERPRETER:
            result.pop(name, None)
    by_slot: dict[str, list[str]] = {}
    for key, value in given.items():
        if value is None and isinstance(key, str):
            result.pop(key, None)
            continue
        name, values = _checked(key, value)
        if (single := _everywhere(name, values)) is not None:
            result[name] = single
        else:
            result.pop(name, None)
            by_slot[name] = values
    for name in _names(secrets):
        result.pop(name, None)
        by_slot.pop(name, None)
    if foreign and (front := list(pythonpath)):
        rest = [result["PYTHONPATH"]] if result.get("PYTHONPATH") else []
        result["PYTHONPATH"] = os.pathsep.join(front + rest)
    threads = str(max(1, _usable_cores() // size))
    counts = {name: threads for name in _core.THREAD_COUNTS if name not in by_slot}
    return counts | result, by_slot


def _parts(env: object) -> tuple[str, Mapping[object, object]]:
    if isinstance(env, str) and env in ("inherit", "strict"):
        return env, {}
    if isinstance(env, Mapping):
        return "inherit", env
    if isinstance(env, list | tuple) and len(env) == 2:
        base, given = env
        if isinstance(base, str) and base in ("inherit", "strict") and isinstance(given, Mapping):
            return base, given
    raise ConfigError(
        f'env: "inherit", "strict", a mapping, or such a word and a mapping in a tuple are needed, '
        f"not {env!r}",
        field="env",
        suggestion="inherit",
    )


def _passes(name: str, base: str) -> bool:
    # The host's own settings are no business of a worker, which gets them by its control socket.
    if name.startswith("SNAKEPIT_"):
        return False
    return base != "strict" or name in _STRICT or name.startswith(_core.STRICT_PREFIXES)


def _checked(name: object, value: object) -> tuple[str, list[str]]:
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        raise ConfigError(f"env: {name!r} is no name of a variable", field="env")
    values = [value] if isinstance(value, str) else value
    if (
        not isinstance(values, list | tuple)
        or not values
        or any(not isinstance(each, str) or "\0" in each for each in values)
    ):
        raise ConfigError(
            f"env: the value of {name} is a string, a list of strings that the slots have in turn, "
            f"or None to remove it, not {value!r}",
            field="env",
        )
    return name, list(values)


def _everywhere(name: str, values: list[str]) -> str | None:
    """The value of all slots, where it is one."""
    if not any("{" in value for value in values):
        return values[0] if len(values) == 1 else None
    import re  # Hosts that name no slot must not pay for it.

    depends = len(values) > 1

    def written(match: re.Match[str]) -> str:
        nonlocal depends
        escaped, place = match.groups()
        if escaped is not None:
            return f"{{{escaped}}}"
        if place != _PLACE:
            raise ConfigError(
                f"env: {name}: there is no {{{place}}}; {{{_PLACE}}} is the worker's place, and "
                f"{{{{{place}}}}} stands for braces around a name",
                field="env",
                suggestion=f"{{{_PLACE}}}",
            )
        depends = True
        return ""

    texts = [re.sub(rf"\{{\{{({_NAME})\}}\}}|\{{({_NAME})\}}", written, text) for text in values]
    return None if depends else texts[0]


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
