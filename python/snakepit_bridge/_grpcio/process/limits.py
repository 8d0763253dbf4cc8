"""A worker's limits, told in its environment, like ``crates/core``'s ``process/limits.rs``.

Taken on by the worker itself, between its fork and any other code; not by the shim, which must act
when its worker is out of memory or of files.
"""

from __future__ import annotations

import posix
import resource

from .system import set_no_new_privs

_VARIABLE = b"SNAKEPIT_LIMITS"
_SCORE = "/proc/self/oom_score_adj"
_WORST_SCORE = 1000


def take_on() -> None:
    """Take on what this process's environment asks for; words of other versions are passed over.

    Raises:
        OSError: The system refused something; the text names it. A worker must not run without it.
    """
    words = posix.environ.get(_VARIABLE, b"").decode("ascii", "replace").split()
    # The room for memory comes last: what is yet to be done needs some.
    words.sort(key=lambda word: word.startswith("address_space="))
    for word in words:
        name, _, number = word.partition("=")
        try:
            _take_on_one(name, int(number or "0"))
        except (OSError, ValueError) as error:
            raise OSError(f"limits: {word} cannot be had: {error}") from None


def _take_on_one(name: str, number: int) -> None:
    if name == "nice":
        posix.nice(number)
    elif name == "address_space":
        resource.setrlimit(resource.RLIMIT_AS, (number, number))
    elif name == "open_files":
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    elif name == "umask":
        posix.umask(number)
    elif name == "oom_score":
        _offer_to_oom_killer(number)
    elif name == "core_files":
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    elif name == "no_new_privs":
        set_no_new_privs()


def _offer_to_oom_killer(more: int) -> None:
    try:
        with open(_SCORE, "r+") as file:
            own = int(file.read())
            file.seek(0)
            file.write(str(min(own + more, _WORST_SCORE)))
    except (OSError, ValueError):
        # Where /proc cannot be written the kernel chooses without this advice.
        return
