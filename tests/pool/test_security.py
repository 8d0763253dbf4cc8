"""What docs/security.md promises and no other test shows: ports, secrets, pickles."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit

from .conftest import Host
from .secretive import Opens

PASSWORD = "correct horse battery staple"
ACCEPTS = "00010000"
"""Flags in `/proc/net/unix` of a socket that waits for connections."""
PICKLES = ["pickle", "_pickle", "shelve", "cloudpickle", "dill"]


@pytest.fixture
def pool(make_pool: Callable[..., Any]) -> Any:
    pool = make_pool("pool.secretive:Secretive", adapter_args={"password": PASSWORD})
    pool.await_ready(60)
    return pool


def processes(pool: Any) -> Iterator[Path]:
    """The workers of a pool and their shims."""
    for worker in pool.list_workers():
        yield Path(f"/proc/{worker.pid}")
        parent = re.search(r"^PPid:\s+(\d+)$", Path(f"/proc/{worker.pid}/status").read_text(), re.M)
        assert parent
        assert int(parent[1]) != os.getpid(), "a shim is between"
        yield Path(f"/proc/{parent[1]}")


def sockets(process: Path) -> set[str]:
    """Inodes of the sockets that a process has open."""
    targets = [os.readlink(file) for file in (process / "fd").iterdir() if file.is_symlink()]
    return {it[len("socket:[") : -1] for it in targets if it.startswith("socket:[")}


def test_nothing_listens_where_others_could_connect(pool: Any) -> None:
    own = set().union(sockets(Path("/proc/self")), *map(sockets, processes(pool)))
    assert own
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/net/{kind}")
        rows = [row.split() for row in table.read_text().splitlines()[1:]] if table.exists() else []
        assert own.isdisjoint(row[9] for row in rows), f"a socket of {kind}"
    unix = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    listening = [row for row in unix if row[6] in own and row[3] == ACCEPTS]
    assert listening, "the one that the workers dial"
    assert not [row for row in listening if row[7:] == [] or row[7].startswith("@")], (
        "an abstract name has no permissions"
    )


def test_arguments_and_environment_tell_nothing(pool: Any) -> None:
    assert pool.execute("knows", {"password": PASSWORD})
    mark = rb"SNAKEPIT_(RUN|GROUP)=\S*"  # no secret, see test_cleanup
    for process in processes(pool):
        told = (process / "cmdline").read_bytes()
        environ = (process / "environ").read_bytes().split(b"\0")
        told += b"\0".join(entry for entry in environ if entry.startswith(b"SNAKEPIT_"))
        assert PASSWORD.encode() not in told
        assert not re.search(rb"[0-9a-fA-F]{32}", re.sub(mark, b"", told)), "a token"


def test_what_unpickles_itself_is_refused_both_ways(pool: Any) -> None:
    with pytest.raises(snakepit.EncodeError):
        pool.execute("knows", {"password": Opens()})
    with pytest.raises(snakepit.EncodeError):
        pool.execute("trap")
    with pytest.raises(snakepit.RemoteError) as caught:
        pool.execute("trapped_error")
    assert caught.value.type_name == "ValueError"


def test_nobody_has_even_loaded_an_unpickler(host: Host) -> None:
    code, out, err = host.run_script(
        "import sys, snakepit\n"
        f"names = {PICKLES}\n"
        "with snakepit.Pool('pool.secretive:Secretive', size=1,"
        " adapter_args={'password': 'x'}) as pool:\n"
        "    try:\n"
        "        pool.execute('trapped_error')\n"
        "    except ValueError:\n"
        "        pass\n"
        "    print(pool.execute('loaded', {'names': names}))\n"
        "    print([name for name in names if name in sys.modules])\n"
    )
    assert (code, out) == (0, "[]\n[]\n"), err
