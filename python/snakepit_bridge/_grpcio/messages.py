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

PROTOCOL = 1
"""The version of the protocol that this end speaks."""
ATTACH = "/snakepit.v1.Host/Attach"


def _load() -> DescriptorPool:
    pool = DescriptorPool()
    with open(os.path.join(os.path.dirname(__file__), "protocol.binpb"), "rb") as file:
        described = FileDescriptorSet.FromString(file.read())
    # Each file comes after those that it imports.
    for file_description in described.file:
        pool.Add(file_description)
    return pool


_pool = _load()


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"snakepit.v1.{name}"))


HostFrame = _message("HostFrame")
WorkerFrame = _message("WorkerFrame")
Hello = _message("Hello")
Ready = _message("Ready")
StartFailed = _message("StartFailed")
Result = _message("Result")
StreamEnd = _message("StreamEnd")
Chunks = _message("Chunks")
Failure = _message("Failure")
Tool = _message("Tool")

_kinds = _pool.FindEnumTypeByName("snakepit.v1.FailureKind").values_by_name


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
