"""Ends every descendant of this process. One pass; whoever calls repeats it until none is left.

The whole tree in each pass, not only the direct children: a killed process hands its children over
to the subreaper only once its memory is torn down (some 70 ms a GiB), and they go on meanwhile.
"""

from __future__ import annotations

import _signal
import posix

_ENDING = 0x4  # PF_EXITING
_LOOKS = 100
"""Threads that vanish under a look make it worthless; a process that ends has only so many."""
_MAX_DEPTH = 64
"""Deeper processes come within reach as those above them die."""


def read(path: str) -> bytes:
    """What is in a file of ``/proc``; nothing where it has vanished."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := posix.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        posix.close(descriptor)


def listing(path: str) -> list[str]:
    try:
        return posix.listdir(path)
    except OSError:
        return []


def stat(pid: int) -> tuple[int, int] | None:
    """Parent, and start in clock ticks since boot, which with the pid names a process for good."""
    # The second field is the program's name: it may hold spaces, parentheses and any bytes.
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[1]), int(fields[19])) if len(fields) > 19 else None


def is_ending(pid: int) -> bool:
    """Whether a process is gone or about to be: each of its threads has begun to end.

    What ``/proc/PID/stat`` says is said of the first thread only, and that may have ended alone
    (``pthread_exit`` of a main thread), while the process lives on.
    """
    if _leaves(f"/proc/{pid}") is False:
        return False
    for _ in range(_LOOKS):
        all_leave = [_leaves(f"/proc/{pid}/task/{name}") for name in listing(f"/proc/{pid}/task")]
        if False in all_leave:
            return False
        # One that vanished meanwhile may have started another.
        if None not in all_leave:
            return True
    return False


def _leaves(path: str) -> bool | None:
    """Whether the thread has begun to end; None where it has vanished."""
    fields = read(f"{path}/stat").rpartition(b")")[2].split()
    return bool(int(fields[6]) & _ENDING) if len(fields) > 6 else None


def environ(pid: int) -> bytes:
    """What a process was started with; nothing of a zombie, and where it may not be read."""
    if own := read(f"/proc/{pid}/environ"):
        return own
    # Its first thread may have ended alone; of the others each has it.
    threads = (name for name in listing(f"/proc/{pid}/task") if name != str(pid))
    return next(filter(None, (read(f"/proc/{pid}/task/{name}/environ") for name in threads)), b"")


def kill_descendants() -> int:
    """Send SIGKILL to every descendant that can be found now; how many took it, dying ones too."""
    me = posix.getpid()
    if _lists_children(me):
        return _walk(me, me, 0)
    return sum(_kill(pid, parent, me) for pid, parent in _scan(me))


def _lists_children(me: int) -> bool:
    """Whether this kernel lists a task's children (CONFIG_PROC_CHILDREN)."""
    return "children" in listing(f"/proc/{me}/task/{me}")


def _walk(parent: int, me: int, depth: int) -> int:
    killed = 0
    if depth < _MAX_DEPTH:
        for pid in _children(parent):
            killed += _kill(pid, parent, me, depth + 1)
    return killed


def _children(pid: int) -> list[int]:
    """Of all its threads, at best effort: the lists are exact only for stopped processes."""
    found: list[int] = []
    for task in listing(f"/proc/{pid}/task"):
        found += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    return found


def _scan(root: int) -> list[tuple[int, int]]:
    """All processes below ``root``, with their parents, from one look at the whole of ``/proc``."""
    by_parent: dict[int, list[int]] = {}
    for name in listing("/proc"):
        seen = stat(int(name)) if name.isdigit() else None
        if seen is not None:
            by_parent.setdefault(seen[0], []).append(int(name))
    found, parents = [], [root]
    while parents:
        parent = parents.pop()
        # Taken out, so that a torn look cannot lead in circles.
        for pid in by_parent.pop(parent, []):
            found.append((pid, parent))
            parents.append(pid)
    return found


def _kill(pid: int, parent: int, me: int, depth: int | None = None) -> int:
    """Kill ``pid`` if it is a descendant still, after what is below it where a depth is given."""
    try:
        pidfd: int | None = posix.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    except (OSError, AttributeError):
        pidfd = None  # a kernel, or a Python, without pidfds
    try:
        # Now the number cannot be reused: is it still one of ours? It may have been adopted by us.
        seen = stat(pid)
        if seen is None or seen[0] not in (parent, me):
            return 0
        killed = _walk(pid, me, depth) if depth is not None else 0
        if pidfd is None:
            posix.kill(pid, _signal.SIGKILL)
        else:
            _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
        return killed + 1
    except OSError:
        return 0  # it ended, or is not ours to signal (a set-user-id program)
    finally:
        if pidfd is not None:
            posix.close(pidfd)
