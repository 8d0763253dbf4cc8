"""What a tool forks is a copy of the worker, and must not pass for it.

gRPC's threads do not exist in the copy, so gRPC must not do anything there either: its own handlers
around a fork wait for calls that are under way, and ours is for ever.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GRPC_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"


@contextlib.contextmanager
def not_minded_by_grpc() -> Iterator[None]:
    """gRPC, loaded and started in this context, leaves forks alone; it reads that once.

    The variable is put back for the adapter's child processes.
    """
    before = os.environ.get(_GRPC_SUPPORT)
    os.environ[_GRPC_SUPPORT] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_GRPC_SUPPORT]
        else:
            os.environ[_GRPC_SUPPORT] = before


def close_in_children(peer: str) -> None:
    """Have this process's connections to ``peer`` closed in every child that it forks.

    A child that lives on would keep the line open after the worker's end.
    """
    descriptors = [number for number in _open_sockets() if _peer(number) == peer]
    if descriptors:
        os.register_at_fork(after_in_child=lambda: _close(descriptors))


def here_only(function: Callable[[], None]) -> Callable[[], None]:
    """``function`` in this process, nothing in its forks."""
    pid = os.getpid()

    def here() -> None:
        if os.getpid() == pid:
            function()

    return here


def _open_sockets() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
    return found


def _peer(descriptor: int) -> object:
    with contextlib.suppress(OSError):
        copy = socket.socket(fileno=os.dup(descriptor))
        try:
            return copy.getpeername()
        finally:
            copy.close()
    return None


def _close(descriptors: list[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor in descriptors:
        # Replaced, not closed: gRPC's copy of itself may close the number once more.
        if descriptor != null:
            os.dup2(null, descriptor, inheritable=False)
    if null not in descriptors:
        os.close(null)
