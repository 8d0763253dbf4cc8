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

BySlot = tuple[list[str], str | None]
"""Values that the slots have in turn, and directories that come before each."""

_STRICT = frozenset(_core.STRICT_ENVIRONMENT + _core.THREAD_COUNTS)
_OWN_PREFIX = "SNAKEPIT_"
_LOG_LEVEL = "SNAKEPIT_LOG_LEVEL"
"""How much the logs of adapters say: the one name with that prefix which is a worker's to read."""
_PLACE = "slot"
_NAME = "[a-z_][a-z0-9_]*"


def worker_environment(
    env: object, secrets: Iterable[str], size: int, foreign: bool, pythonpath: Iterable[str]
) -> tuple[dict[str, str], dict[str, BySlot]]:
    """Build the whole environment of a worker: what all workers have, and what depends on the slot.

    In the values of the latter ``{slot}`` is still to be written out. No name is in both.

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
    by_slot: dict[str, BySlot] = {}
    for key, value in given.items():
        name = _name(key)
        if value is None:
            result.pop(name, None)
            continue
        values = _values(name, value)
        if (single := _everywhere(name, values)) is not None:
            result[name] = single
        else:
            result.pop(name, None)
            by_slot[name] = _text(name, values), None
    for name in _names(secrets):
        result.pop(name, None)
        by_slot.pop(name, None)
    if foreign and (front := list(pythonpath)):
        rest = [result["PYTHONPATH"]] if result.get("PYTHONPATH") else []
        joined = os.pathsep.join(front + rest)
        if "PYTHONPATH" in by_slot:
            by_slot["PYTHONPATH"] = by_slot["PYTHONPATH"][0], joined
        else:
            result["PYTHONPATH"] = joined
    threads = str(max(1, _core.usable_cores() // size))
    counts = {name: threads for name in _core.THREAD_COUNTS if name not in by_slot}
    return counts | result, by_slot


def told(env: object, secrets: Iterable[str]) -> set[str]:
    """Variables that the user has a word on."""
    _, given = _parts(env)
    return {*map(str, given), *_names(secrets)}


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
    if name.startswith(_OWN_PREFIX) and name != _LOG_LEVEL:
        return False
    return base != "strict" or name in _STRICT or name.startswith(_core.STRICT_PREFIXES)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        raise ConfigError(f"env: {name!r} is no name of a variable", field="env")
    if name.startswith(_OWN_PREFIX) and name != _LOG_LEVEL:
        raise ConfigError(
            f"env: {name}: names that begin with {_OWN_PREFIX} are the host's own, and workers get "
            "none but those that it sets; leave it out, or take another name",
            field="env",
        )
    return name


def _values(name: str, value: object) -> list[str]:
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
    return list(values)


def _text(name: str, values: list[str]) -> list[str]:
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"env: {name}: {value!a:.80} depends on the slot and holds bytes that are no text",
                field="env",
            ) from None
    return values


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
