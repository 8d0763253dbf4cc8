"""The protocol's messages as Python classes, made at run time: no generated code to keep in step.

``descriptor`` is the one place that knows where the description comes from.
"""

from __future__ import annotations

import functools
import importlib.resources
from types import SimpleNamespace
from typing import Any

PACKAGE = "snakepit.v1"
VERSION = 1
"""The version of the protocol that a worker's Hello must name."""


def descriptor() -> bytes:
    """The protocol as an encoded ``FileDescriptorSet``, which the bridge ships."""
    shipped = importlib.resources.files("snakepit_bridge") / "_grpcio" / "protocol.binpb"
    return shipped.read_bytes()


@functools.cache
def messages() -> SimpleNamespace:
    """Every message class of the protocol, by its name: ``messages().HostFrame``."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    described = descriptor_pb2.FileDescriptorSet.FromString(descriptor())
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    classes = SimpleNamespace()
    for file in described.file:
        for message in file.message_type:
            found = pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")
            setattr(classes, message.name, message_factory.GetMessageClass(found))
    return classes


def failure_kind(failure: Any) -> str:
    """The name of a failure's kind: ``EXCEPTION``, ``ENCODE`` …; a number that has none is itself.

    Kinds are an open enum: a newer worker may send one that this kit does not know.
    """
    names = failure.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    if failure.kind not in names:
        return str(failure.kind)
    return str(names[failure.kind].name.removeprefix("FAILURE_KIND_"))
