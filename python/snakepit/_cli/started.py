"""Checks by starting: a worker that answers, an adapter that can be imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakepit._cli import kernel
from snakepit._cli.check import Check
from snakepit.errors import ConfigError, StartError

PROBE = Path(__file__).with_name("probe")
"""All that a worker in another environment gets to search."""
ADAPTER = "snakepit_probe:Probe"


def answer(python: str | None) -> tuple[dict[str, Any], list[str]]:
    """What a worker in that Python says of itself, and where the pool listened.

    Raises:
        StartError: None can start there.
    """
    from snakepit import Pool

    with Pool(ADAPTER, size=1, name="doctor", python=python, pythonpath=[PROBE]) as pool:
        told: dict[str, Any] = pool.execute("ping", timeout=90)
        places = [it for it in kernel.listening_on_unix(os.getpid()) if "/snakepit-" in it]
        return told, places


def worker(python: str | None) -> Iterator[Check]:
    """The whole way: run folder, socket, process, line, adapter, call."""
    try:
        told, places = answer(python)
    except (StartError, ConfigError) as error:
        yield Check("worker", False, str(error))
        return
    end = "native" if told["native"] else "grpcio"
    yield Check("worker", True, f"started and answered: Python {told['python']}, {end} end")
    for place in places:
        yield from run_folder(Path(place).parent)


def run_folder(folder: Path) -> Iterator[Check]:
    """Where hosts of this environment have their sockets."""
    wanted = os.environ.get("XDG_RUNTIME_DIR")
    base = str(folder.parent)
    if wanted and os.path.realpath(wanted) != os.path.realpath(base):
        told = f"made in {base}, since XDG_RUNTIME_DIR, {wanted}, could not be used"
        mend = f"install -d -m 700 -o {os.geteuid()} {wanted}"
        yield Check("run folder", None, told, mend)
    else:
        yield Check("run folder", True, f"made in {base}")


def adapter(name: str, python: str | None) -> Iterator[Check]:
    """That adapter, imported and initialized in a worker."""
    from snakepit import Pool

    try:
        with Pool(name, size=1, name="doctor", python=python, pythonpath=[os.getcwd()]) as pool:
            tools = [tool.name for tool in pool.tools()]
    except ConfigError as error:
        yield Check("adapter", False, error.message)
    except StartError as error:
        module = name.partition(":")[0]
        lost = "no module named" in error.message
        yield Check("adapter", False, str(error), f"cd to the folder of {module}" if lost else None)
    else:
        told = f"{name} is ready: {', '.join(tools)}" if tools else f"{name} has no tools"
        mend = None if tools else "mark methods with @snakepit_bridge.tool"
        yield Check("adapter", bool(tools), told, mend)
