"""Tools for the tests of the Rust face: each shows one thing that a call may meet."""

from __future__ import annotations

import datetime
import decimal
import os
import resource
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, register_encoder, tool


class QuotaError(Exception):
    pass


class DiskQuotaError(QuotaError):
    pass


class Money:
    cents = 5


register_encoder(Money, lambda money: {"cents": money.cents})


class Face(BaseAdapter):
    __thread_safe__ = True  # for the tests of profiles; the others run one call at a time

    def __init__(self, greeting: str = "hello") -> None:
        super().__init__()
        self.greeting = greeting
        self.notes: dict[str | None, int] = {}
        self.closed: list[str] = []

    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def machine(self) -> dict[str, Any]:
        """What this worker may take of it."""
        time.sleep(0.01)  # Calls that are made together meet all workers.
        status = Path("/proc/self/status").read_text()
        return {
            "place": self.worker.slot,
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "nice": os.nice(0),
            "no_new_privs": "NoNewPrivs:\t1" in status,
            "device": os.environ.get("DEVICE", ""),
            "assigned": self.worker.device,
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }

    @tool
    def allocate(self, mib: int) -> None:
        bytearray(mib << 20)

    @tool
    def greet(self, name: str) -> str:
        return f"{self.greeting} {name}"

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def type_of(self, value: Any) -> str:
        return f"{type(value).__module__}.{type(value).__qualname__}"

    @tool
    def samples(self) -> dict[str, Any]:
        """A value of every type of the standard library that has one of its own."""
        return {
            "none": None,
            "wide": 2**100,
            "bytes": b"\x00\xff",
            "date": datetime.date(2024, 2, 29),
            "datetime": datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC),
            "time": datetime.time(1, 2, 3),
            "span": datetime.timedelta(days=-1, seconds=2),
            "decimal": decimal.Decimal("1.10"),
            "uuid": uuid.UUID(int=1),
            "keys": {1: "one", None: "none", 2.5: "float"},
        }

    @tool
    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def note(self) -> int:
        """How often the session called before."""
        key = self.session_context.session_id
        self.notes[key] = self.notes.get(key, 0) + 1
        return self.notes[key] - 1

    @tool
    def visit(self) -> dict[str, Any]:
        """What is kept for the session, and what its caller said of it."""
        context = self.session_context
        context.state["visits"] = context.state.get("visits", 0) + 1
        return {"visits": context.state["visits"], "new": context.is_new, **context.metadata}

    def session_closed(self, session_id: str) -> None:
        self.closed.append(session_id)

    @tool
    def which_closed(self) -> list[str]:
        return self.closed

    @tool
    def wait(self, folder: str) -> None:
        """Say that it began, and wait to be released or cancelled."""
        (Path(folder) / f"began-{os.getpid()}").touch()
        while not (Path(folder) / "release").exists():
            if self.session_context.cancelled:
                (Path(folder) / "cancelled").touch()
                return
            time.sleep(0.002)

    @tool
    def crash(self) -> None:
        os._exit(3)

    @tool
    def fail(self) -> None:
        raise ValueError("as asked")

    @tool
    def quota(self, user: str, limit: int) -> None:
        try:
            raise KeyError(user)
        except KeyError as error:
            error.add_note("looked up")
            raise DiskQuotaError(user, limit) from error

    @tool
    def many(self) -> None:
        raise ExceptionGroup("some", [ValueError("one"), QuotaError("two")])

    @tool
    def multiply(self) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")

    @tool
    def unfit(self) -> Any:
        return [Money(), {1}]

    @tool
    def count(self, n: int, folder: str | None = None) -> Iterator[dict[str, int]]:
        try:
            for x in range(n):
                yield {"x": x}
        finally:
            if folder is not None:
                (Path(folder) / "closed").touch()

    @tool
    def gram(self, matrix: Any) -> Any:
        return matrix.T @ matrix

    @tool
    def flipped(self, matrix: Any) -> Any:
        return matrix.T

    @tool
    def doubled(self, prices: Any) -> Any:
        """A batch like it, or a table of two such batches."""
        import pyarrow as pa
        import pyarrow.compute as pc

        names = prices.schema.names
        columns = [pc.multiply(prices["price"], 2), prices["name"]]
        if isinstance(prices, pa.RecordBatch):
            return pa.RecordBatch.from_arrays(columns, names)
        return pa.table(columns, names)

    @tool
    def silent(self) -> Iterator[int]:
        yield 1
        time.sleep(600)

    @tool
    def say(self, text: str) -> None:
        print(text, flush=True)

    @tool
    def call_back(self, name: str, arguments: Any) -> Any:
        return self.session_context.call_host_tool(name, arguments)

    @tool
    def collect_back(self, name: str, arguments: Any) -> list[Any]:
        return list(self.session_context.stream_host_tool(name, arguments))


class Gated(Face):
    """Is not ready before the file of ``$GATE`` is there."""

    def initialize(self) -> None:
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
