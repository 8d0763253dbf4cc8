"""Faults of the host: it is killed, told to end, interrupted, stopped, or not alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import snakepit

from .figures import Figure, exactly, none, shown, spread
from .hosts import Host, gates
from .processes import Deaths, is_alive, marked, parent, run_files, until

BUSY = ("burn", "hold_the_interpreter", "hold", "block_all_signals")
GIB = 1024  # MiB


def killed(rounds: int, size: int, heavy_rounds: int) -> Iterator[Figure]:
    """Row 1: SIGKILL of the host. Workers are busy in turn in each way that there is, and each has
    three descendants: plain, in a session of its own, and double-forked."""
    times, orphans = _kill_hosts(rounds, size, fill=0)
    yield shown("rounds", rounds)
    yield none("orphans", orphans)
    yield from spread("host SIGKILL → everything gone", times, 500, "ms")
    if heavy_rounds:
        heavy, orphans = _kill_hosts(heavy_rounds, 1, fill=GIB)
        yield none("orphans, 1 GiB a worker", orphans)
        yield from spread("host SIGKILL → everything gone, 1 GiB", heavy, 600, "ms")


def _kill_hosts(rounds: int, size: int, fill: int) -> tuple[list[float], int]:
    times, orphans = [], 0
    for _, tool in zip(range(rounds), cycle(BUSY), strict=False):
        with (
            gates() as folder,
            Host("busy", tool=tool, size=size, fill=fill, folder=str(folder)) as host,
        ):
            told = host.hear()
            everything = {*told["workers"], *told["children"], *map(parent, told["workers"])}
            with Deaths([host.pid, *everything]) as deaths:
                ended = deaths.wait(deaths.kill(host.pid), seconds=10)
            times.append(1000 * max(ended.values(), default=float("inf")))
            orphans += len(everything - {*ended})
    return times, orphans + len(marked())


def terminated(rounds: int, drain: float) -> Iterator[Figure]:
    """Row 2: SIGTERM while short calls and a long one run: the short ones end and are told."""
    times, lost, wrong, left = [], 0, 0, 0
    for _ in range(rounds):
        with Host("drains", short=10, drain_timeout=drain) as host:
            said = []
            while isinstance(told := host.hear(), str):
                said.append(told)  # A short call that has ended by now.
            with Deaths([host.pid, *told["workers"]]) as deaths:
                ended = deaths.wait(deaths.kill(host.pid, signal.SIGTERM), seconds=drain + 30)
            wrong += host.end() != -signal.SIGTERM
            said += [json.loads(line) for line in host.process.stdout or ()]
            lost += 10 - said.count("done")
            left += 1 + len(told["workers"]) - len(ended)
            times.append(max(ended.values(), default=float("inf")))
    yield shown("rounds", rounds)
    yield none("short calls that were lost", lost)
    yield none("exit statuses other than SIGTERM's", wrong)
    yield none("processes left", left)
    yield from spread("SIGTERM → everything gone", times, drain + 5, "s")


def interrupted(rounds: int) -> Iterator[Figure]:
    """Row 3: Ctrl-C to the whole group, once and twice, while tools ignore SIGTERM."""
    once, twice = [], []
    for _ in range(rounds):
        for presses, times in ((1, once), (2, twice)):
            with Host("interrupted", grace=0.5) as host:
                told = host.hear()
                with Deaths([host.pid, *told["workers"]]) as deaths:
                    begin = time.monotonic()
                    os.killpg(host.pid, signal.SIGINT)
                    if presses == 2:
                        assert host.hear() == "leaving"
                        # The handler of the first has run; now the pool's end is interrupted.
                        begin = time.monotonic()
                        os.killpg(host.pid, signal.SIGINT)
                    ended = deaths.wait(begin, seconds=60)
                times.append(max(ended.values()) if len(ended) == 3 else float("inf"))
    yield shown("rounds", 2 * rounds)
    yield from spread("Ctrl-C → everything gone", once, 25, "s")
    yield from spread("second Ctrl-C → everything gone", twice, 1, "s")


def stopped(seconds: float, options: dict[str, object]) -> Iterator[Figure]:
    """Row 4: SIGSTOP of the host, SIGCONT after a while; nobody is restarted for it."""
    with Host("waits", **options) as host:
        told = host.hear()
        os.kill(host.pid, signal.SIGSTOP)
        time.sleep(seconds)  # The fault itself.
        gone = [pid for pid in told["workers"] if not is_alive(pid)]
        os.kill(host.pid, signal.SIGCONT)
        host.go_on()
        after = host.hear()
        status = host.end()
    yield shown("stopped for", seconds, "s")
    yield none("workers that died meanwhile", len(gone))
    yield none("workers that were replaced", after["restarts"])
    yield none("answers of other workers", after["strangers"])
    yield exactly("exit status", status, 0)


def not_alone(rounds: int) -> Iterator[Figure]:
    """Row 19: hosts A and B of one user; A is killed and its shims too; what A left is swept, B
    does not notice. A number in A's ledger now belongs to somebody else, who lives on."""
    harmed, left, killed_strangers, files = 0, 0, 0, []
    with Host("waits") as bystander:
        theirs = bystander.hear()
        for _ in range(rounds):
            with Host("waits") as victim, subprocess.Popen(["sleep", "600"]) as stranger:
                told = victim.hear()
                _leave_estate(victim, told["shims"], stranger.pid)
                report = snakepit.cleanup()
                until(lambda told=told: not any(map(is_alive, told["family"])), "swept", 15)
                killed_strangers += not is_alive(stranger.pid) or stranger.pid in report.ended
                left += victim.pid not in report.hosts
                stranger.kill()
            everyone = [bystander.pid, *theirs["workers"], *theirs["shims"], *theirs["family"]]
            harmed += sum(not is_alive(pid) for pid in everyone)
            files.append(len(run_files()))
        bystander.go_on()
        after = bystander.hear()
    yield shown("rounds", rounds)
    yield none("processes of the other host that were harmed", harmed)
    yield none("its workers that were replaced", after["restarts"])
    yield none("strangers with a number of old that were killed", killed_strangers)
    yield none("dead hosts that were not swept", left)
    yield none("files in run folders, more than after the first round", max(files) - files[0])


def _leave_estate(host: Host, shims: list[int], stranger: int) -> None:
    """Kill a host in such a way that nobody sweeps behind it, and forge its ledger."""
    os.kill(host.pid, signal.SIGSTOP)
    with Deaths(shims) as deaths:
        for shim in shims:
            begin = deaths.kill(shim)
        deaths.wait(begin)
    ledger = next(Path(file) for file in run_files() if _is_ledger_of(host.pid, file))
    with Deaths([host.pid]) as deaths:
        deaths.wait(deaths.kill(host.pid))
    text = ledger.read_text()
    head, first, *rest = text.splitlines(keepends=True)
    shim, shim_start, _, start = first.split()
    forged = f"{shim} {shim_start} {stranger} {start}".ljust(len(first) - 1)
    ledger.write_text("".join([head, forged, "\n", *rest]))


def _is_ledger_of(pid: int, file: str) -> bool:
    return file.endswith("/ledger") and Path(file).read_text().split()[2] == str(pid)
