"""The adapter that checks start: it tells what a worker sees of itself.

In a folder of its own, which is all that workers in other environments get to search.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from snakepit_bridge import BaseAdapter, __version__, tool


class Probe(BaseAdapter):
    """Needs nothing but the SDK.

    Args:
        secret: What nobody else may find out; kept for as long as the worker lives.
    """

    def __init__(self, secret: str = "") -> None:
        super().__init__()
        self.secret = secret

    @tool
    def ping(self) -> dict[str, Any]:
        """Who answers."""
        return {
            "python": ".".join(map(str, sys.version_info[:3])),
            "executable": sys.executable,
            "prefix": sys.prefix,
            "bridge": __version__,
            "native": "snakepit._core" in sys.modules,
            "pid": os.getpid(),
            "parent": os.getppid(),
        }

    @tool
    def confinement(self) -> dict[str, Any]:
        """What the kernel lets this process do."""
        import resource

        with open("/proc/self/status") as status:
            words = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        return {
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "no_new_privs": words.get("NoNewPrivs") == "1",
            "descriptors": sorted(_descriptors()),
        }

    @tool
    def child(self) -> int:
        """A process that outlives the call, and its worker where nobody sees to it."""
        import subprocess

        return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


def _descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # That of the folder itself.
            continue
    return found
