"""A process that dials a pool's socket without having been sent: what the host lets it do.

It speaks the line as far as a worker's first frame (``docs/protocol.md``), with a token that nobody
was given, and by hand: the packages of a gRPC client may not be there. Run as a program it is
another process than the host, as a stranger is::

    python -I stranger.py SOCKET    # prints "refused", or "let in"
"""

from __future__ import annotations

import socket
import sys

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_HEADERS, _END_STREAM = 4, 1
_PATIENCE = 10.0  # seconds


def is_let_in(path: str) -> bool:
    """Whether who knows no token gets anything of what a worker gets."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_PATIENCE)
        line.connect(path)
        try:
            line.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _request() + _hello())
            return _is_served(line)
        except ConnectionError:
            return False


def _is_served(line: socket.socket) -> bool:
    """Whether data of the stream arrives; a host's first frame tells the worker what to do."""
    while True:
        head = _read(line, 9)
        if head is None:
            return False
        size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        if size and _read(line, size) is None:
            return False
        if kind == _DATA:
            return True
        if kind in (_RST_STREAM, _GOAWAY) or (kind == _HEADERS and flags & _END_STREAM):
            return False


def _read(line: socket.socket, size: int) -> bytes | None:
    read = b""
    while len(read) < size:
        part = line.recv(size - len(read))
        if not part:
            return None
        read += part
    return read


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _request() -> bytes:
    """HEADERS of the call, each a literal that nobody remembers (RFC 7541, 6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/snakepit.v1.Host/Attach",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(b"\0" + _literal(name) + _literal(text) for name, text in headers.items())
    return _frame(_HEADERS, _END_HEADERS, 1, block)


def _literal(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _hello() -> bytes:
    """WorkerFrame{hello{token, protocol}} in a message of gRPC."""
    hello = b"\x0a\x20" + bytes(32) + b"\x10\x01"
    message = b"\x0a" + bytes([len(hello)]) + hello
    return _frame(_DATA, 0, 1, b"\0" + len(message).to_bytes(4) + message)


if __name__ == "__main__":
    print("let in" if is_let_in(sys.argv[1]) else "refused")
