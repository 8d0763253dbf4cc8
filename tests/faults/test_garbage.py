"""Bytes that make no sense, folders of others, processes of others: row 26 and 27, from Python.

Each lie that a worker can tell is tried in `crates/testkit/tests/pool`; here they meet a Python
host, together with what only the file system and other users can do to it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit
from snakepit_bridge import BaseAdapter, tool

NOBODY = 65534
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# A block of headers of one name of metadata, to be followed by as many as one likes.
METADATA = b"\x10\x01a\x01b"


class Target(BaseAdapter):
    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def pid(self) -> int:
        return os.getpid()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run folders apart from everybody's."""
    # Directly below /tmp, or the path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="garbage-", dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield Path(directory)


def a_pool() -> Any:
    return snakepit.Pool(f"{__name__}:Target", size=1)


def sockets(folder: Path) -> list[Path]:
    """That of the pool's workers, and that for operators."""
    found = sorted(folder.glob("snakepit-*/*.sock"))
    assert [path.name for path in found] == ["0.sock", "operator.sock"]
    return found


def frame(kind: int, flags: int, stream: int, content: bytes, length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    head = size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + content


def garbage() -> Iterator[bytes]:
    """What a stranger may send to a socket."""
    dice = random.Random(1)
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield PREFACE + frame(4, 0, 0, b"", length=0xFFFFFF)
    yield PREFACE + frame(1, 0, 1, METADATA) + frame(9, 0, 1, METADATA * 3000) * 67
    yield PREFACE + frame(0, 0, 1, b"\0\xff\xff\xff\xff")
    yield PREFACE + frame(6, 0, 0, bytes(8)) * 20_000
    for length in (1, 30, 3000, 300_000):
        yield dice.randbytes(length)
        yield PREFACE + dice.randbytes(length)
    for end in range(len(PREFACE) + 9):
        yield (PREFACE + frame(4, 0, 0, b""))[:end]


def say(path: Path, words: bytes) -> None:
    """Say something, hang up, and wait until the host has let go of it."""
    with socket.socket(socket.AF_UNIX) as stranger, contextlib.suppress(OSError):
        stranger.settimeout(30)
        stranger.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stranger.sendall(words)
            stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(4096):
            pass


def test_garbage_of_strangers_costs_their_own_connections(folder: Path) -> None:
    with a_pool() as pool:
        pid = pool.execute("pid")
        for path in sockets(folder):
            for words in garbage():
                say(path, words)
        assert pool.execute("pid") == pid, "the worker has noticed nothing"
        assert pool.stats().worker_deaths == 0


def test_run_folders_and_sockets_are_closed_to_others(folder: Path) -> None:
    with a_pool() as pool:
        assert pool.execute("ping") == "pong"
        for path in sockets(folder):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert path.parent.stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_files_would_let_it_in(folder: Path) -> None:
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(30)"
    code += "; s.connect(sys.argv[1]); print(len(s.recv(10)))"
    with a_pool() as pool:
        pid = pool.execute("pid")
        (path, _) = sockets(folder)

        def knock() -> subprocess.CompletedProcess[str]:
            # The system's interpreter: this one may be where others cannot run it.
            return subprocess.run(
                ["/usr/bin/python3", "-c", code, path],
                user=NOBODY, group=NOBODY, capture_output=True, text=True, timeout=60,
            )  # fmt: skip

        if not os.path.exists("/usr/bin/python3"):
            pytest.skip("no interpreter that another user can run")
        assert "PermissionError" in knock().stderr
        folder.chmod(0o755)
        path.parent.chmod(0o755)
        path.chmod(0o666)
        told = knock()
        assert told.stdout.strip() == "0" or "ConnectionReset" in told.stderr, told
        assert pool.execute("pid") == pid


@pytest.mark.parametrize("how", ["open to all", "of another user"])
def test_no_run_folder_is_made_where_others_could_put_theirs(folder: Path, how: str) -> None:
    if how == "of another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(folder, NOBODY, NOBODY)
    else:
        folder.chmod(0o777)
    with a_pool() as pool:
        assert pool.execute("ping") == "pong"
        assert not [*folder.iterdir()]


def test_a_link_in_the_place_of_a_run_folder_is_not_followed(folder: Path) -> None:
    """Its ledger names a process that lives; a sweep that followed the link would end it."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as elsewhere,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim,
    ):
        start = Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
        ledger = Path(elsewhere, "ledger")
        head = f"snakepit-ledger 1 4194303 1 {boot} {namespace} {'a5' * 16}\n"
        ledger.write_text(head + f"{victim.pid} {start} 0 0".ljust(95) + "\n")
        (folder / "snakepit-squatted").symlink_to(elsewhere)
        snakepit.cleanup()
        assert victim.poll() is None
        assert ledger.exists()
        # The same folder, not behind a link, is swept: it is the link that made the difference.
        (folder / "snakepit-squatted").unlink()
        swept = folder / "snakepit-left"
        swept.mkdir(0o700)
        (swept / "ledger").write_text(ledger.read_text())
        snakepit.cleanup()
        assert victim.wait(30) == -signal.SIGKILL
        assert not swept.exists()
