"""What a worker may take of the machine; applied by the worker itself, before its adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from snakepit._checks import positive
from snakepit._life import Checked
from snakepit.errors import ConfigError

# Those of the engine (crates/core, config/limits.rs).
_LEAST_ADDRESS_SPACE = 256 * 1024 * 1024
_LEAST_OPEN_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Checked):
    """What each worker of a pool may take of the machine.

    What a worker starts inherits all of it. The process that watches over the worker does not,
    since it must act when the worker cannot. With ``inline=True`` there is no worker to limit.

    Raises:
        ConfigError: A value is wrong. One above this process's own hard limit is refused by the
            pool.

    Example:
        >>> limits = snakepit.Limits(nice=10, address_space=4 * 1024**3, open_files=4096)
        >>> snakepit.Pool("my_app:Model", size=4, limits=limits)
    """

    nice: int = 0
    """Added to this process's niceness, from 0 to 19: workers yield the processor to whatever is
    less nice."""
    address_space: int | None = None
    """Bytes of memory that a worker's process may map (``RLIMIT_AS``), 256 MiB at least. What goes
    beyond raises ``MemoryError`` in the call, and the worker lives; a library that does not check
    ends it, which is a ``WorkerDied``. Files, shared memory and the reserves of drivers count, so
    it cannot be used with CUDA, which maps more than any machine has. ``Recycle(memory=...)`` goes
    by what is really used. ``None``: as this process."""
    open_files: int | None = None
    """Descriptors that a worker may have open (``RLIMIT_NOFILE``), 64 at least; more than this
    process has only up to its own hard limit. ``None``: as this process."""
    core_files: bool = False
    """Whether a worker may write a core file when it crashes. Its death is told only after that,
    which takes seconds."""
    umask: int | None = None
    """Permissions that new files do not get: ``0o077`` for files of the user alone. ``None``: as
    this process, since what tools write is for whoever reads this process's files."""
    no_new_privs: bool = True
    """Nothing that a worker starts gains privileges by being executed: no ``sudo``, no setuid
    program, no file capabilities. A process with more rights than ours is the one thing that cannot
    be ended with its worker. ``False``, where a tool must start such a program."""
    oom_score: int = 500
    """Added to this process's ``oom_score_adj``, from 0 to 1000: where memory runs out, the kernel
    ends a worker and not its host."""

    def __post_init__(self) -> None:
        positive("limits.nice", self.nice, least=0, most=19)
        positive("limits.oom_score", self.oom_score, least=0, most=1000)
        if self.umask is not None:
            positive("limits.umask", self.umask, least=0, most=0o777)
        for name, least, why in (
            ("address_space", _LEAST_ADDRESS_SPACE, "bytes, which an interpreter needs"),
            ("open_files", _LEAST_OPEN_FILES, "which a worker needs"),
        ):
            if (value := getattr(self, name)) is None:
                continue
            if positive(f"limits.{name}", value, most=2**63 - 1) < least:
                _refuse(name, f"must be at least {least}, {why}", str(least))
        for name in ("core_files", "no_new_privs"):
            if not isinstance(value := getattr(self, name), bool):
                _refuse(name, f"must be True or False, not {value!r}")


def _refuse(name: str, message: str, suggestion: str | None = None) -> NoReturn:
    field = f"limits.{name}"
    raise ConfigError(f"{field}: {message}", field=field, suggestion=suggestion)
