"""Message classes of the protocol, made at run time from its checked-in description.

Generated code would tie the worker to one major version of protobuf. ``cargo xtask codegen`` writes
``protocol.binpb`` from ``proto/``. In a pool of its own: an adapter may bring another version of
the same messages.
"""

from __future__ import annotations

import os
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from snakepit_bridge.errors import DecodeError

PROTOCOL = 1
"""The version of the protocol that this end speaks."""
ATTACH = "/snakepit.v1.Host/Attach"


def _load() -> tuple[DescriptorPool, dict[str, Any]]:
    pool, classes = DescriptorPool(), {}
    with open(os.path.join(os.path.dirname(__file__), "protocol.binpb"), "rb") as file:
        described = FileDescriptorSet.FromString(file.read())
    # Each file comes after those that it imports.
    for file_description in described.file:
        pool.Add(file_description)
        for message in file_description.message_type:
            full_name = f"{file_description.package}.{message.name}"
            classes[message.name] = GetMessageClass(pool.FindMessageTypeByName(full_name))
    return pool, classes


_pool, CLASSES = _load()
"""Every message class of the protocol, by its name."""

HostFrame = CLASSES["HostFrame"]
WorkerFrame = CLASSES["WorkerFrame"]
Hello = CLASSES["Hello"]
Ready = CLASSES["Ready"]
StartFailed = CLASSES["StartFailed"]
Result = CLASSES["Result"]
StreamEnd = CLASSES["StreamEnd"]
Chunks = CLASSES["Chunks"]
CallHostTool = CLASSES["CallHostTool"]
CancelHostTool = CLASSES["CancelHostTool"]
GrantHostToolChunks = CLASSES["GrantHostToolChunks"]
Failure = CLASSES["Failure"]
Tool = CLASSES["Tool"]
Interpreter = CLASSES["Interpreter"]
Report = CLASSES["Report"]
Telemetry = CLASSES["Telemetry"]
Event = CLASSES["Event"]
Span = CLASSES["Span"]
Measurement = CLASSES["Measurement"]
Attribute = CLASSES["Attribute"]


def inline(buffers: Any, root: str) -> list[bytes]:
    """What a value names, which is in its frame: no memory is shared with this end.

    Raises:
        DecodeError: Not in the frame; so no host of this protocol sends it.
    """
    for buffer in buffers:
        if buffer.segment:
            raise DecodeError(f"{root}: segment {buffer.segment}, and it has none", path=root)
    return [buffer.inline for buffer in buffers]


_kinds = _pool.FindEnumTypeByName("snakepit.v1.FailureKind").values_by_name


_profiles = _pool.FindEnumTypeByName("snakepit.v1.Profile").values_by_number
PROFILES = {
    number: value.name.removeprefix("PROFILE_").lower()
    for number, value in _profiles.items()
    if number
}
"""How the SDK calls them."""


def _kind(name: str) -> int:
    number: int = _kinds[f"FAILURE_KIND_{name}"].number
    return number


EXCEPTION = _kind("EXCEPTION")
TOOL_NOT_FOUND = _kind("TOOL_NOT_FOUND")
ENCODE = _kind("ENCODE")
DECODE = _kind("DECODE")
CANCELLED = _kind("CANCELLED")
TOO_LARGE = _kind("TOO_LARGE")
ADAPTER_SOURCE = _kind("ADAPTER_SOURCE")
