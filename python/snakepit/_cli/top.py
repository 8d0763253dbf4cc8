"""``snakepit top``: running hosts, looked at again and again."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from snakepit._cli import hosts, output
from snakepit._cli.outcome import Failed, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


def top(
    interval: Annotated[
        float,
        typer.Option(
            "--interval", metavar="SECONDS", min=0.1, max=3600.0, help="From one look to the next."
        ),
    ] = 2.0,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            metavar="N",
            min=1,
            help="End after so many looks. Default: at q or Ctrl-C.",
            show_default=False,
        ),
    ] = None,
    host: hosts.HostOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: an object a look, each on its line.")
    ] = False,
) -> int:
    """Watch the pools and workers of running hosts.

    Calls a second and processor time are of the time between two looks. At a terminal the picture
    is renewed, and q ends it; elsewhere each look is printed below the one before.
    """
    looks = _looks(interval, count, host)
    if as_json:
        for look in looks:
            output.out_json(look, indent=None)
            sys.stdout.flush()
    elif sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        _live(looks)
    else:
        for number, look in enumerate(looks):
            output.out(("\n" if number else "") + _plain(look))
            sys.stdout.flush()
    return Status.DONE


_Lines = list[tuple[str, dict[str, Any]]]


class _Pause:
    """Sleeps between two looks; ``q`` on the terminal ends it."""

    def __init__(self) -> None:
        self.ended = False
        self.keys: int | None = None

    def sleep(self, seconds: float) -> None:
        import select

        until = time.monotonic() + seconds
        while not self.ended and (left := until - time.monotonic()) > 0:
            if self.keys is None:
                time.sleep(left)
            elif select.select([self.keys], [], [], left)[0]:
                pressed = os.read(self.keys, 64)
                self.ended = not pressed or b"q" in pressed.lower()


_pause = _Pause()


def _looks(interval: float, count: int | None, host: int | None) -> Iterator[dict[str, Any]]:
    """What each look sees, with rates since the one before."""
    from snakepit._control import ControlError

    before = dict[tuple[int, ...], tuple[float, float]]()
    looked = 0
    while count is None or looked < count:
        if looked:
            _pause.sleep(interval)
            if _pause.ended:
                return
        looked += 1
        try:
            sockets = hosts.running(host)
        except Failed:
            if looked == 1:
                raise
            sockets = []  # It ended meanwhile, and another one may come.
        look: dict[str, Any] = {"time": time.time(), "hosts": [], "silent": []}
        now = dict[tuple[int, ...], tuple[float, float]]()
        for socket in sockets:
            try:
                told = hosts.told(socket)
            except ControlError as error:
                look["silent"].append(error.message)
                continue
            _rate(told, before, now)
            look["hosts"].append({**told["host"], "pools": told["pools"]})
        before = now
        yield look


def _rate(
    told: dict[str, Any],
    before: dict[tuple[int, ...], tuple[float, float]],
    now: dict[tuple[int, ...], tuple[float, float]],
) -> None:
    """Adds calls a second to each pool, and to each worker the part of a processor that it has."""
    for pool in told["pools"]:
        key = (told["host"]["pid"], pool["id"])
        pool["rate"] = _step(key, float(pool["calls"]["completed"]), before, now)
        for worker in pool["workers"]:
            used = None if worker["pid"] is None else _processor_time(worker["pid"])
            process = (*key, worker["slot"], worker["generation"])
            worker["cpu"] = None if used is None else _step(process, used, before, now)


def _step(
    key: tuple[int, ...],
    value: float,
    before: dict[tuple[int, ...], tuple[float, float]],
    now: dict[tuple[int, ...], tuple[float, float]],
) -> float | None:
    """How fast ``value`` has grown since the look before; ``None``: that had it not."""
    moment = time.monotonic()
    now[key] = (moment, value)
    if key not in before:
        return None
    then, was = before[key]
    return max(0.0, (value - was) / max(moment - then, 1e-6))


def _processor_time(pid: int) -> float | None:
    """Seconds that a process has run, on one processor or several."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:.0f}%"


def _table(pool: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    from snakepit._cli.rows import HEADER, worker_row

    header = [*HEADER[:-1], "CPU", HEADER[-1]]
    rows = list[list[str]]()
    for worker in pool["workers"]:
        row = worker_row(worker)
        rows.append([*row[:-1], _percent(worker["cpu"]), row[-1]])
    return header, rows


def _heads(
    look: dict[str, Any],
) -> Iterator[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]]:
    """Each host, and its pools with their lines."""
    from snakepit._cli.rows import pool_line

    for host in look["hosts"]:
        names = [pool["name"] for pool in host["pools"]]
        lines: _Lines = []
        for pool in host["pools"]:
            rate = "" if pool["rate"] is None else f"  {pool['rate']:.1f} calls/s"
            lines.append((pool_line(pool, names.count(pool["name"]) > 1) + rate, pool))
        yield host, lines


def _plain(look: dict[str, Any]) -> str:
    from snakepit._cli.rows import host_line

    parts = [time.strftime("%H:%M:%S", time.localtime(look["time"]))]
    for host, pools in _heads(look):
        parts.append(host_line(host))
        for line, pool in pools:
            parts += ["", line, output.table(*_table(pool))]
    parts += [f"snakepit: {message}" for message in look["silent"]]
    if not look["hosts"]:
        parts.append("no running host")
    return "\n".join(parts)


def _live(looks: Iterator[dict[str, Any]]) -> None:
    """Renews the picture in place."""
    from rich.live import Live

    console = output.console()
    with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        for look in looks:
            live.update(_picture(look), refresh=True)


class _keys:  # noqa: N801 (a context manager, used like a function)
    """Single keys are read from the terminal, without an echo, until the block ends."""

    def __enter__(self) -> None:
        import termios
        import tty

        self._saved: list[Any] | None = None
        try:
            descriptor = sys.stdin.fileno()
            self._saved = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor)
        except (OSError, ValueError, termios.error):
            return  # No terminal there: Ctrl-C ends it.
        _pause.keys = descriptor

    def __exit__(self, *told: object) -> None:
        import termios

        if self._saved is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
        _pause.keys = None


_NUMBERS = {"SLOT", "PID", "GEN", "AGE", "CALLS", "MEMORY", "SESSIONS", "CPU"}
_COLOURS = {
    "ready": "green",
    "busy": "cyan",
    "stalled": "red",
    "condemned": "red",
    "degraded": "red",
}


def _picture(look: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from snakepit._cli.rows import host_line

    parts = list["RenderableType"]()
    parts.append(Text(time.strftime("%H:%M:%S  q: end", time.localtime(look["time"])), "dim"))
    for host, pools in _heads(look):
        parts.append(Text(host_line(host), "bold", no_wrap=True, overflow="ellipsis"))
        for line, pool in pools:
            parts.append(Text(f"\n{line}", no_wrap=True, overflow="ellipsis"))
            header, rows = _table(pool)
            table = Table(box=None, pad_edge=False, header_style="bold")
            for column in header:
                side: Literal["left", "right"] = "right" if column in _NUMBERS else "left"
                table.add_column(column, justify=side, no_wrap=True, overflow="ellipsis")
            for row, worker in zip(rows, pool["workers"], strict=True):
                cells = [Text(cell) for cell in row]
                cells[3].stylize(_COLOURS.get(worker["state"], "yellow"))
                table.add_row(*cells)
            parts.append(table)
    parts += [Text(message, "red") for message in look["silent"]]
    if not look["hosts"]:
        parts.append(Text("no running host", "yellow"))
    return Group(*parts)
