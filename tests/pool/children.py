"""An adapter whose tools fork, as libraries do that tools use."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from snakepit_bridge import BaseAdapter, tool


def double(number: int) -> int:
    return 2 * number


class Forking(BaseAdapter):
    @tool
    def doubled(self, upto: int) -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(double, range(upto))

    @tool
    def child_that_leaves(self) -> int:
        child = os.fork()
        if child == 0:
            sys.exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    @tool
    def child_that_goes_on_streaming(self) -> Iterator[int]:
        child = os.fork()
        if child:
            yield os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield 2

    @tool
    def daemons_that_end(self, count: int) -> list[int]:
        """Below nobody but the shim, and dead at once."""
        reader, writer = os.pipe()
        for _ in range(count):
            child = os.fork()
            if child == 0:
                if (daemon := os.fork()) > 0:
                    os.write(writer, b"%d\n" % daemon)
                os._exit(0)
            os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader) as told:
            return [int(pid) for pid in told.read().split()]

    @tool
    def sockets(self) -> list[list[str]]:
        """Of this process, and of a child that it forks."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, "\n".join(open_sockets()).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            found = [open_sockets(), told.read().split()]
        os.waitpid(child, 0)
        return found

    @tool
    def child_programs_environment(self, name: str) -> str:
        show = f"import os; print(os.environ.get({name!r}))"
        return subprocess.check_output([sys.executable, "-c", show], text=True).strip()


def open_sockets() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue  # that of the listing
        if target.startswith("socket:"):
            found.append(target)
    return found
