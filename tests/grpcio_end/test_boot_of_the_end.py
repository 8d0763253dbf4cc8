"""Which end serves, and what is said when none can: boot.py in real processes."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import snakepit_bridge

from .conftest import BOUND

BRIDGE = Path(snakepit_bridge.__file__).parent


class Booted:
    """What boot.py says to a host that answers with a start message."""

    def __init__(self, line: str, core: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(BOUND)
        command = [sys.executable, "-S", str(BRIDGE / "boot.py"), line, core]
        with ours, theirs:
            process = subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True)
            theirs.close()
            path = str(BRIDGE).encode()
            self.kinds, self.text = "", ""
            while message := ours.recv(1 << 16):
                self.kinds += message[:1].decode()
                if message[:1] == b"W":
                    ours.send(b"S\x22" + bytes((len(path),)) + path)
                if message[:1] == b"E":
                    self.text = message[1:].decode()
            self.errors = process.communicate(timeout=BOUND)[1]
            self.exit_code = process.returncode


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which the packages cannot be imported, wherever they are installed."""
    for name in ("grpc", "msgpack"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('there is no {name} here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("line", ["auto", "grpcio"])
def test_a_missing_package_is_named_with_the_command_that_mends_it(line: str, empty: Path) -> None:
    core = empty / "_core.abi3.so"
    core.write_text("this is no library")
    booted = Booted(line, str(core))
    assert (booted.kinds, booted.exit_code, booted.errors) == ("WEX", 78, "")
    assert booted.text.startswith(f"{sys.executable} lacks grpcio, msgpack")
    assert "there is no grpc here" in booted.text
    assert booted.text.endswith(
        f"{sys.executable} -m pip install 'grpcio>=1.80' 'msgpack>=1.1' 'protobuf>=6.33'"
    )
    if line == "grpcio":
        assert 'line="grpcio" asks for this one' in booted.text
    else:
        assert "cannot load" in booted.text or "needs CPython 3.11" in booted.text


def test_an_interpreter_without_ctypes_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ctypes.py").write_text("raise ImportError('No module named _ctypes')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    booted = Booted("grpcio", "/nowhere/_core.abi3.so")
    assert (booted.kinds, booted.exit_code, booted.errors) == ("E", 78, "")
    assert "No module named _ctypes" in booted.text
    assert sys.executable in booted.text
    assert "python=" in booted.text
