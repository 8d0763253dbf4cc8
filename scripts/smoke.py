"""What a release must at least do: one pool from start to close, by what is installed.

    python scripts/smoke.py [abi3 | free-threaded]

Run it with the interpreter of a clean environment. It needs nothing but both distributions, and
says which build it used; with an argument, that build is demanded.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snakepit
from snakepit import _core
from snakepit_bridge import BaseAdapter, tool

# Every process that comes of this one inherits it. A name with SNAKEPIT_ would not pass.
MARK = "SNAKES_OF_THIS_SMOKE_TEST"
VALUES: dict[str, Any] = {"list": [1, -(2**70), 1.5, None, True], "bytes": b"\0\xff", "text": "ſ"}


class Probe(BaseAdapter):
    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def count(self, stop: int) -> Iterator[int]:
        yield from range(stop)

    @tool
    def crash(self) -> None:
        os._exit(3)

    @tool
    def gil_enabled(self) -> bool:
        return gil_enabled()


def gil_enabled() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def must_be_installed() -> None:
    """A checkout beside the script would prove nothing about what is released."""
    home = Path(sysconfig.get_path("platlib")).resolve()
    for module in (snakepit, _core, sys.modules["snakepit_bridge"]):
        where = Path(str(module.__file__)).resolve()
        if home not in where.parents:
            sys.exit(f"{module.__name__} comes from {where}, not from {home}")


def must_be(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        sys.exit(f"{what}: {found!r}, wanted {wanted!r}")


def run() -> None:
    with snakepit.Pool(Probe, size=2) as pool:
        must_be("a call", pool.execute("echo", {"value": VALUES}), VALUES)
        must_be("a stream", list(pool.execute_stream("count", {"stop": 3000})), [*range(3000)])
        must_be("the worker's GIL", pool.execute("gil_enabled"), gil_enabled())
        try:
            pool.execute("crash")
        except snakepit.WorkerDied as death:
            must_be("a death", death.exit_code, 3)
        else:
            sys.exit("a worker died and nobody heard of it")
        must_be("a call after a death", pool.execute("echo", {"value": 1}), 1)


def of_this_run(mark: bytes) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # gone meanwhile, or another user's
                continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build", nargs="?", choices=["abi3", "free-threaded"])
    demanded = parser.parse_args().build

    must_be_installed()
    if demanded is not None:
        must_be("the build", _core.__build__, demanded)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        must_be("the GIL after the import", gil_enabled(), False)

    # Inherited by the workers, which are started as new programs.
    mark = os.environ[MARK] = uuid.uuid4().hex
    run()
    end = time.monotonic() + 15
    while (left := of_this_run(f"{MARK}={mark}".encode())) and time.monotonic() < end:
        time.sleep(0.02)
    must_be("processes that are left", left, [])
    gil = "on" if gil_enabled() else "off"
    version = sys.version.split()[0]
    print(f"snakepit {snakepit.__version__}, {_core.__build__}, Python {version}, GIL {gil}: ok")


if __name__ == "__main__":
    main()
