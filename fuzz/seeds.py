"""The seeds of the fuzz targets: `seeds/TARGET.txt`, an input a line, in hexadecimal digits.

    python fuzz/seeds.py write      make them again, from tests/codec/vectors.json and from here
    python fuzz/seeds.py check      whether that would change anything
    python fuzz/seeds.py unpack     into fuzz/corpus/TARGET/, where cargo-fuzz reads them

What a fuzzer has found is kept in `seeds/found-TARGET.txt`, written by hand, a line with a comment
each. `cargo test` replays all of it, so a bug that was found once is looked for in every run.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parent / "tests" / "codec" / "vectors.json"

# The token that the target `line` lets in.
TOKEN = bytes([7]) * 32
# Longer vectors are repetitions; a fuzzer makes those itself.
LONGEST_VECTOR = 160


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes | str | int) -> bytes:
    """A field of protobuf."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


HELLO = field(
    1, field(1, TOKEN) + field(2, 1) + field(3, 42) + field(4, "0") + field(6, 1) + field(7, 1)
)
EVENT = field(1, "model.inference") + field(3, field(1, "tokens") + field(2, 256))
SPAN = field(1, b"t" * 16) + field(2, b"s" * 8) + field(4, "work") + field(5, 1) + field(8, 2)
TOOL = field(1, "ping") + field(2, "answers") + field(3, 1)
READY = field(2, field(1, TOOL) + field(1, TOOL))
FAILURE = field(1, 1) + field(2, "ValueError") + field(3, "no") + field(4, "Traceback …")
FRAMES = [
    HELLO,
    READY,
    field(3, field(1, FAILURE) + field(2, 1)),
    field(4, field(1, 7) + field(2, b"\x01")),
    field(4, field(1, 7) + field(3, FAILURE)),
    field(4, field(1, 7) + field(4, b"")),
    field(4, field(1, 2**64 - 1)),
    field(5, field(1, 7) + field(2, b"\x01") + field(2, b"\x02")),
    field(2, field(1, 7) + field(2, "tool") + field(3, b"\x80") + field(6, 10**6) + field(7, 1)),
    field(4, field(1, 7) + field(2, b"\x01") + field(20, field(5, b"in the frame"))),
    field(4, field(1, 7) + field(2, b"\x01") + field(20, field(1, 1) + field(3, 1 << 20))),
    field(5, field(1, 7) + field(2, b"\x01") + field(20, field(1, 1) + field(3, 1 << 20))),
    field(11, field(1, 7)),
    field(9, field(1, EVENT) + field(2, SPAN) + field(3, 7)),
    field(9, field(1, field(1, "two words"))),
    b"",
    b"\xff" * 16,
    b"\x0b" * 200,  # groups inside each other: a depth bomb
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def http2(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(content).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + content


def literal(name: bytes, text: bytes) -> bytes:
    return name + bytes([len(text)]) + text


SETTINGS = http2(4, 0, 0, b"")
ATTACH = http2(
    1,
    4,
    1,
    b"\x83\x86"
    + literal(b"\x04", b"/snakepit.v1.Host/Attach")
    + literal(b"\x01", b"localhost")
    + literal(b"\x0f\x10", b"application/grpc")
    + literal(b"\x00\x02te", b"trailers"),
)


def message(frame: bytes, stream: int = 1, flags: int = 0) -> bytes:
    """A frame of the line, as gRPC puts it into one of HTTP/2."""
    return http2(0, flags, stream, b"\0" + struct.pack(">I", len(frame)) + frame)


BEGIN = PREFACE + SETTINGS + ATTACH
CONVERSATION = BEGIN + b"".join(message(frame) for frame in [*FRAMES[:2], *FRAMES[3:6]])


def lines() -> Iterator[bytes]:
    yield CONVERSATION
    yield CONVERSATION + http2(0, 1, 1, b"")
    for frame in FRAMES[1:]:
        yield BEGIN + message(HELLO) + message(frame)
        yield BEGIN + message(frame)
    yield BEGIN + http2(0, 0, 1, b"\0" + struct.pack(">I", 1 << 30))
    yield BEGIN + message(HELLO) + http2(0, 0, 1, b"\0" + struct.pack(">I", 1 << 30))
    yield BEGIN + message(HELLO) + ATTACH.replace(b"\0\0\0\x01", b"\0\0\0\x03", 1)
    yield PREFACE + http2(1, 0, 1, b"\x83") + http2(9, 0, 1, b"\0\x01a\x01b" * 40)
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield PREFACE + b"\xff\xff\xff\0\0\0\0\0\x01"


def vectors() -> Iterator[bytes]:
    for vector in json.loads(VECTORS.read_text()):
        if len(told := vector.get("hex") or "") in range(1, LONGEST_VECTOR):
            yield bytes.fromhex(told)


def values() -> Iterator[bytes]:
    yield from vectors()
    yield from (b"\x91" * 200, b"\x81\x01" * 200, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff")


def roundtrips() -> Iterator[bytes]:
    yield bytes(range(60))
    yield bytes([7, 5, 2, *range(8), 4, *range(8), 5, 2, 97, 98, 9, 2, 0, 1, 3, 9, *b"\x80" * 9])
    yield bytes([7, 1]) * 60


def controls() -> Iterator[bytes]:
    u64 = struct.Struct("<Q").pack
    yield b"S" + field(1, TOKEN) + field(2, "/run/s.sock") + field(3, "/lib") + field(5, 1 << 20)
    yield b"C" + u64(7)
    yield b"G" + u64(7) + u64(512) + u64(1 << 20)
    yield b"P" + u64(1)
    yield b"A" + u64(1)
    yield b"T"
    yield "Tin thread é\n".encode()
    yield b"W" + struct.pack("<IQ", 42, 99)
    yield b"X" + struct.pack("<ii", 1, -1)
    yield b"Eno module"
    yield from (b"", b"?", b"C" + bytes(7), b"X" + bytes(9))


def buffer(segment: int, offset: int, length: int, word: int = 0) -> bytes:
    return field(1, segment) + field(2, offset) + field(3, length) + field(4, word)


def record(kind: int, content: bytes) -> bytes:
    """What comes on the control socket with a file of a kind, or (255) a frame with buffers."""
    return bytes([kind, len(content)]) + content


def buffers() -> Iterator[bytes]:
    def segment(number: int, length: int = 2 << 20) -> bytes:
        return b"m" + struct.pack("<IQ", number, length)

    def frame(*table: bytes) -> bytes:
        return record(255, b"".join(field(20, each) for each in table))

    taken = record(1, b"b") + record(2, segment(1))
    yield taken + frame(buffer(1, 0, 1000), buffer(1, 4096, (2 << 20) - 4096, 4095))
    yield (
        taken + frame(field(5, b"inline"), buffer(1, 0, 1)) + record(0, b"f" + bytes([1, 0, 0, 0]))
    )
    yield taken + record(2, segment(2)) + frame(buffer(2, 5, 5)) + frame(buffer(3, 5, 5))
    yield taken + frame(buffer(1, (2 << 20) - 1, 2), buffer(1, 2**64 - 1, 2))
    yield taken + frame(buffer(1, 0, 0)) + frame(buffer(1, 0, 1, 4096)) + record(2, segment(1))
    yield record(2, segment(1)) + record(1, b"b") + frame(buffer(1, 0, 1))
    for kind in (0, 3, 4, 5):
        yield record(1, b"b") + record(kind, segment(1)) + frame(buffer(1, 0, 1000))
        yield record(kind, b"b") + record(2, segment(1)) + frame(buffer(1, 0, 1000))
    yield record(1, b"b") + record(2, segment(1, 2**63)) + frame(buffer(1, 0, 1000))
    yield record(0, b"k" + bytes([1, 0, 0, 0])) + record(0, b"n" + bytes([1, 0, 0, 0]))


def ledgers() -> Iterator[bytes]:
    head = f"snakepit-ledger 1 42 99 6f2c-{'0' * 8} 4026531836 {'a5' * 16}\n"
    line = "{:<95}\n".format
    yield head.encode()
    yield (head + line("43 100 44 101") + line("") + line("45 102 0 0")).encode()
    yield (head + line("0 1 1 1") + line("4294967295 1 18446744073709551615 1")).encode()
    yield b"snakepit-ledger 9 1 2 3 4 5\n"
    yield b"notes\n"


def options() -> Iterator[bytes]:
    yield b"adapter=a:B\nsize=2\ntimeout=30s\nidle_timeout=none\nmax_message=1GiB\naffinity=hint\n"
    yield b"grace=500ms\nstart_timeout=1.5m\npython=.venv\nworker_output=log\nline=grpcio\n"
    yield b"siez=4\n"
    yield b"heartbeat=none\nrecycle=none\nstall_kill=1h\nsecrets=A\nenv=strict\n"
    yield b"\x83\xa4size\x02\xa7timeout\xcb\x3f\xf8" + bytes(6) + b"\xa5grace\xa5500ms"
    yield b"\x81\xa7recycle\x82\xa5calls\x64\xa6memory\xa6512MiB"
    yield b"\x81\xa9heartbeat\x82\xa8interval\x02\xa6missed\x03"


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "buffers": buffers,
    "control": controls,
    "frame": lambda: iter(FRAMES),
    "ledger": ledgers,
    "line": lines,
    "opening": lines,
    "options": options,
    "roundtrip": roundtrips,
    "value": values,
}


def text(target: str) -> str:
    return "".join(f"{seed.hex()}\n" for seed in dict.fromkeys(SEEDS[target]()))


def read(file: Path) -> Iterator[bytes]:
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            yield bytes.fromhex(line)


def main(command: str) -> int:
    stale = []
    for target in SEEDS:
        file = HERE / "seeds" / f"{target}.txt"
        if command == "write":
            file.write_text(text(target))
        elif command == "check":
            stale += [] if file.read_text() == text(target) else [target]
        elif command == "unpack":
            folder = HERE / "corpus" / target
            folder.mkdir(parents=True, exist_ok=True)
            found = HERE / "seeds" / f"found-{target}.txt"
            for source in (file, found) if found.exists() else (file,):
                for seed in read(source):
                    (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
        else:
            print(__doc__)
            return 2
    if stale:
        print(f"seeds of {', '.join(stale)} are not current: python fuzz/seeds.py write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
