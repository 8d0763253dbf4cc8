"""Checks of the machine: kernel, memory that is shared, limits, groups, leftovers, devices."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import resource
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from snakepit._cli.check import Check

_FEW, _ENOUGH = 128, 1024  # descriptors
_A_WORKER = 7  # descriptors that a host has open for each
_SEALS = 0x0002 | 0x0004 | 0x0010  # F_SEAL_SHRINK, _GROW, _FUTURE_WRITE
_ADD_SEALS, _ALLOW_SEALING = 1033, 0x0002


def kernel() -> Iterator[Check]:
    """Processes by descriptor, which everything about ends and signals needs."""
    name, release = "kernel", platform.release()
    try:
        descriptor = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(descriptor, 0)
        finally:
            os.close(descriptor)
    except (OSError, AttributeError) as error:
        yield Check(
            name,
            False,
            f"Linux {release}: no pidfd_open ({error})",
            "use Linux 5.3 or newer, and a seccomp profile that permits pidfd_open and "
            "pidfd_send_signal",
        )
    else:
        yield Check(name, True, f"Linux {release}, pidfd_open works")


def shared_memory() -> Iterator[Check]:
    """Anonymous files that can be sealed: the page of prefetched calls, and large values."""
    name = "shared memory"
    try:
        descriptor = os.memfd_create("snakepit-doctor", os.MFD_CLOEXEC | _ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, 4096)
            fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
        finally:
            os.close(descriptor)
    except OSError as error:
        yield Check(
            name,
            False,
            f"memfd_create or its seals do not work: {error.strerror}",
            "use Linux 5.1 or newer, and a seccomp profile that permits memfd_create",
        )
    else:
        yield Check(name, True, "memfd_create works, with seals")
    name = "/dev/shm"
    try:
        free = os.statvfs(name)
    except OSError as error:
        yield Check(name, None, f"{error.strerror}; pools do not need it, libraries may", None)
        return
    mib = free.f_bavail * free.f_frsize // 2**20
    writable = os.access(name, os.W_OK)
    told = f"{mib} MiB free" if writable else "this user cannot write to it"
    yield Check(name, True if writable else None, f"{told}; pools do not need it, libraries may")


def limits() -> Iterator[Check]:
    """What one process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = soft == resource.RLIM_INFINITY
    many = "no limit" if infinite else f"{soft}, enough for some {max(0, soft - 32) // _A_WORKER}"
    told = f"descriptors: {many}" + ("" if infinite else " workers")
    more = f"ulimit -n {min(hard, 4096) if hard >= 0 else 4096}"
    if 0 <= hard < _ENOUGH:
        more = f"raise the hard limit, {hard}: LimitNOFILE= of the service, or limits.conf"
    if infinite or soft >= _ENOUGH:
        yield Check("open files", True, told)
    else:
        yield Check("open files", None if soft >= _FEW else False, told, more)


def control_groups() -> Iterator[Check]:
    """Whether this process's group, of version 2, can be divided."""
    name = "control groups"
    remedy = "systemd-run --user --scope -p Delegate=yes COMMAND, or Delegate=yes in the service"
    with open("/proc/self/cgroup") as file:
        paths = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    if not paths:
        yield Check(name, None, "there are none of version 2; workers are found without", None)
        return
    mount = _mounted("cgroup2")
    if mount is None:
        yield Check(name, None, "version 2 is not mounted; workers are found without", None)
        return
    group = Path(mount) / paths[0].lstrip("/")
    systemd = Path("/run/systemd/system").exists()
    given = not systemd or any(_attribute(group, it) for it in ("user", "trusted"))
    if given and os.access(group, os.W_OK):
        yield Check(name, True, f"{group} is delegated: each worker gets one of its own")
    else:
        yield Check(name, None, f"{group} is not delegated; workers are found without", remedy)


def _mounted(kind: str) -> str | None:
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, place, found, *_ = line.split()
            if found == kind:
                return place
    return None


def _attribute(group: Path, space: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.getxattr(group, f"{space}.delegate"))
    return False


def leftovers() -> Iterator[Check]:
    """Run folders of hosts that were killed; what is there of a living one is locked."""
    name = "leftovers"
    places = [os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.geteuid()}"]
    places += [tempfile.gettempdir(), "/tmp"]
    left = []
    for place in dict.fromkeys(filter(None, places)):
        for folder in Path(place).glob("snakepit-*"):
            with contextlib.suppress(OSError):
                if _is_dead(folder):
                    left.append(str(folder))
    if left:
        told = f"{len(left)} run folders of killed hosts: {', '.join(left[:3])}"
        yield Check(name, None, told, "snakepit cleanup")
    else:
        yield Check(name, True, "none of killed hosts")


def _is_dead(folder: Path) -> bool:
    if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
        return False
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    ledger = os.open(folder / "ledger", flags)
    try:
        # Shared: two who look do not see each other, a host has it for itself.
        fcntl.flock(ledger, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(ledger)
    return True


def hardware() -> Iterator[Check]:
    """What workers compute with."""
    from snakepit import hardware as detected

    found = detected.detect()
    cpu = f"{found.cpu.usable.cores} usable cores, {found.cpu.usable.memory_mb} MiB"
    names = [device.name for kind in (found.cuda, found.rocm) if kind for device in kind.devices]
    yield Check("hardware", True, f"{cpu}, {', '.join(names) or 'no accelerator'}")
