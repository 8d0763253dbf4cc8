"""A host's status as rows of text, for ``status`` and ``top``."""

from __future__ import annotations

from typing import Any

from snakepit._control import printable

HEADER = ["SLOT", "PID", "GEN", "STATE", "AGE", "CALLS", "MEMORY", "SESSIONS", "RUNNING"]


def host_line(host: dict[str, Any]) -> str:
    """The host in one line."""
    parts = [f"host {host['pid']}", f"snakepit {printable(str(host['snakepit']))}"]
    if host.get("uptime") is not None:
        parts.append(f"up {span(host['uptime'])}")
    return "  ".join([*parts, printable(str(host["program"]))])


def pool_line(pool: dict[str, Any], twins: bool = False) -> str:
    """The pool in one line; ``twins``: another one of the host has its name."""
    workers, calls, queue = pool["workers"], pool["calls"], pool["queue"]
    ready = sum(worker["state"] in ("ready", "busy") for worker in workers)
    name = f"{pool['name']}#{pool['id']}" if twins else pool["name"]
    parts = [
        f"pool {printable(str(name))}",
        f"{pool['state']}, {pool['health']}",
        f"{ready}/{len(workers)} ready",
        f"{calls['running']} running",
        f"{queue['calls']} queued",
        _count(pool["sessions"], "session"),
    ]
    if pool["circuit"] is not None:
        parts.append(f"circuit {pool['circuit']}")
    if pool["barred"]:
        parts.append(f"{pool['barred']} barred")
    if (memory := pool["shared_memory"]) is not None and memory["bytes"]:
        parts.append(f"{size(memory['in_use'])} of {size(memory['bytes'])} shared memory")
    if calls["worker_deaths"]:
        parts.append(_count(calls["worker_deaths"], "death"))
    if pool["access"] == "read":
        parts.append("read only")
    return "  ".join(parts)


def worker_row(worker: dict[str, Any]) -> list[str]:
    """A worker, in the columns of ``HEADER``."""
    state = worker["state"]
    if state not in ("ready", "busy"):
        state = f"{state} {span(worker['state_for'])}"
    if worker.get("replacement"):
        state = f"{state}, next starting {span(worker['replacement']['state_for'])}"
    if worker["breaker"] != "closed":
        state = f"{state}, breaker {worker['breaker']}"
    if worker.get("device"):
        state = f"{state}, {worker['device']}"
    return [
        str(worker["slot"]),
        _or_dash(worker["pid"]),
        str(worker["generation"]),
        printable(state),
        "-" if worker["age"] is None else span(worker["age"]),
        str(worker["calls"]),
        "-" if worker["memory"] is None else size(worker["memory"]),
        str(worker["sessions"]),
        doing(worker),
    ]


def doing(worker: dict[str, Any]) -> str:
    """What a worker runs, or why it cannot start."""
    if worker["failure"]:
        return printable(str(worker["failure"]).splitlines()[0])
    shown = list[str]()
    for call in worker["running"][:3]:
        tool = "(given up by its caller)" if call["tool"] is None else str(call["tool"])
        session = "" if call["session"] is None else f" @{call['session']}"
        shown.append(f"{tool}{session} {span(call['running_for'])}")
    more = len(worker["running"]) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    if worker["waiting"]:
        shown.append(f"{worker['waiting']} waiting")
    return printable(", ".join(shown)) or "-"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def span(seconds: float) -> str:
    """Seconds for people: ``0.4s``, ``12s``, ``3m07s``, ``5h02m``, ``4d03h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def size(count: float) -> str:
    """Bytes for people, in powers of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
