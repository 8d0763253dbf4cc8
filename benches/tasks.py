"""What runs in the workers, the same work for every contender. Imports nothing heavy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any


def noop(arg: dict[str, Any]) -> dict[str, Any]:
    return arg


def pid(arg: dict[str, Any]) -> int:
    """Hold the worker for ``arg["seconds"]``, so that its siblings get the next call."""
    time.sleep(arg["seconds"])
    return os.getpid()


def nap(arg: dict[str, Any]) -> int:
    """Write our pid to ``arg["file"]``, whole or not at all, then sleep ``arg["seconds"]``."""
    draft = f"{arg['file']}.draft"
    with open(draft, "w") as file:
        file.write(str(os.getpid()))
    os.rename(draft, arg["file"])
    time.sleep(arg["seconds"])
    return os.getpid()


def items(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"i": number, "loss": 0.5}


TASKS = {"noop": noop, "pid": pid, "nap": nap}
