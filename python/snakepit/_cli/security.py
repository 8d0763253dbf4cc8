"""Checks of what protects a pool, each on one that is started for it, with the defaults."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from snakepit._cli import kernel
from snakepit._cli.check import Check, guarded
from snakepit._cli.started import ADAPTER, PROBE

_VARIABLE = "DOCTOR_OF_SNAKEPIT_SECRET"
# A host of its own: it is killed.
_HOST = """
import sys, snakepit
with snakepit.Pool({adapter!r}, size=1, name="doctor", pythonpath=[{probe!r}]) as pool:
    told = pool.execute("ping", timeout=90)
    print(told["parent"], told["pid"], pool.execute("child"), flush=True)
    sys.stdin.read()
"""
_SOON = 10.0  # seconds; a tenth of one is usual, but not on a machine that is busy


class _Found(NamedTuple):
    """A pool with one worker."""

    worker: int
    shim: int
    confinement: dict[str, Any]
    secret: bytes
    """Which nobody but the worker may know."""

    @property
    def processes(self) -> dict[str, int]:
        return {"host": os.getpid(), "shim": self.shim, "worker": self.worker}


def checks() -> Iterator[Check]:
    """All of them; nothing is left of what they start."""
    yield from guarded("pool under test", _of_a_pool)
    yield from guarded("killed host", _killed_host)


def _of_a_pool() -> Iterator[Check]:
    from snakepit import Pool

    secret = secrets.token_hex(16)
    before = kernel.listening_on_tcp(os.getpid())
    os.environ[_VARIABLE] = secret
    try:
        with Pool(
            ADAPTER,
            size=1,
            name="doctor",
            adapter_args={"secret": secret},
            pythonpath=[PROBE],
            secrets=[_VARIABLE],
        ) as pool:
            told = pool.execute("ping", timeout=90)
            confinement = pool.execute("confinement")
            found = _Found(told["pid"], told["parent"], confinement, secret.encode())
            places = [it for it in kernel.listening_on_unix(os.getpid()) if "/snakepit-" in it]
            yield from _sockets(places)
            # The operator socket speaks to whoever is this user; see docs/operating.md.
            yield from _stranger([it for it in places if not it.endswith("/operator.sock")])
            yield from _secrets(found)
            yield from _confinement(found)
            yield from _ports(found, before)
    finally:
        del os.environ[_VARIABLE]
    yield from _closed(found, places)


def _sockets(places: list[str]) -> Iterator[Check]:
    if not places:
        yield Check("socket", False, "the pool listens nowhere in a run folder")
    for place in places:
        for name, path, wanted in (
            ("run folder is private", os.path.dirname(place), 0o700),
            ("socket is private", place, 0o600),
        ):
            found = os.lstat(path)
            mode = stat.S_IMODE(found.st_mode)
            good = mode == wanted and found.st_uid == os.geteuid()
            yield Check(name, good, f"{path}: mode {mode:04o}, of user {found.st_uid}")


def _stranger(places: list[str]) -> Iterator[Check]:
    from snakepit._cli import stranger

    name = "stranger is refused"
    for place in places:
        ended = subprocess.run(
            [sys.executable, "-I", stranger.__file__, place],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = ended.stdout.strip() or (ended.stderr.strip().splitlines() or ["nothing"])[-1]
        told = f"a process of this user that dialled the socket with a wrong token: {said}"
        yield Check(name, said == "refused", told)


def _secrets(found: _Found) -> Iterator[Check]:
    arguments, variables = [], []
    for name in ("shim", "worker"):
        command, environment = kernel.started_with(found.processes[name])
        arguments += [name] if found.secret in command else []
        variables += [name] if found.secret in environment else []
    told = f"in those of {' and '.join(arguments)}"
    yield Check(
        "no secret in arguments",
        not arguments,
        told if arguments else "what adapter_args has is in nobody's command line",
    )
    told = f"in those of {' and '.join(variables)}"
    yield Check(
        "no secret in variables",
        not variables,
        told if variables else "nor in a variable, and one that secrets= names is not passed on",
    )


def _confinement(found: _Found) -> Iterator[Check]:
    core = found.confinement["core"]
    yield Check("no core files", core == 0, f"the worker's limit of core files is {core}")
    held = found.confinement["no_new_privs"]
    told = "the worker cannot get more" if held else "the worker may get more"
    yield Check("no new privileges", held, f"{told} privileges by what it runs")


def _ports(found: _Found, before: list[str]) -> Iterator[Check]:
    ports = []
    abstract = []
    for name, pid in found.processes.items():
        own = before if name == "host" else []
        ports += [f"{name} {it}" for it in kernel.listening_on_tcp(pid) if it not in own]
        abstract += [f"{name} {it}" for it in kernel.listening_on_unix(pid) if it[0] == "@"]
    told = f"listening: {', '.join(ports)}" if ports else "nobody listens on TCP"
    yield Check("no port", not ports, told)
    told = f"listening: {', '.join(abstract)}" if abstract else "nobody listens on one"
    yield Check("no abstract socket", not abstract, told)


def _closed(found: _Found, places: list[str]) -> Iterator[Check]:
    left = _left([found.shim, found.worker])
    folders = [folder for it in places if (folder := Path(it).parent).exists()]
    told = [*(f"process {pid}" for pid in left), *map(str, folders)]
    yield Check("nothing left by close", not told, ", ".join(told) or "no process, no folder")


def _killed_host() -> Iterator[Check]:
    script = _HOST.format(adapter=ADAPTER, probe=str(PROBE))
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as host:
        try:
            assert host.stdout is not None
            pids = [int(word) for word in host.stdout.readline().split()]
        finally:
            host.send_signal(signal.SIGKILL)
    name = "nothing left of a killed host"
    if len(pids) != 3:
        yield Check(name, False, "the host that was to be killed did not start")
        return
    left = _left(pids)
    told = "its worker, and a process that the worker had started in a session of its own, are gone"
    yield Check(
        name,
        not left,
        f"left: {', '.join(map(str, left))}" if left else told,
        "snakepit cleanup" if left else None,
    )


def _left(pids: list[int]) -> list[int]:
    """Which of them are alive after the time that they may take to end."""
    until = time.monotonic() + _SOON
    while (left := [pid for pid in pids if kernel.is_alive(pid)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left
