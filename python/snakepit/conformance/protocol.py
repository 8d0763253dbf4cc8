"""The protocol's messages as Python classes, made at run time: no generated code to keep in step.

``descriptor`` is the one place that knows where the description comes from.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PACKAGE = "snakepit.v1"
VERSION = 1
"""The version of the protocol that a worker's Hello must name."""


def descriptor() -> bytes:
    """The protocol as an encoded ``FileDescriptorSet``.

    The bridge ships it; a checkout without it compiles ``proto/`` with grpcio-tools.

    Raises:
        ModuleNotFoundError: There is neither.
    """
    shipped = importlib.resources.files("snakepit_bridge") / "_grpcio" / "protocol.binpb"
    return shipped.read_bytes() if shipped.is_file() else _compiled()


def _compiled() -> bytes:
    from grpc_tools import protoc

    around = [*Path(__file__).resolve().parents, Path.cwd(), *Path.cwd().parents]
    roots = (folder / "proto" for folder in around)
    root = next((root for root in roots if (root / "snakepit/v1").is_dir()), None)
    if root is None:
        raise ModuleNotFoundError("no proto/snakepit/v1 around here: run it in a checkout")
    files = sorted(str(file) for file in (root / "snakepit/v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "protocol.binpb")
        command = ["protoc", f"-I{root}", "--include_imports", f"--descriptor_set_out={out}"]
        if protoc.main([*command, *files]) != 0:
            raise ValueError(f"{root} does not compile")
        return Path(out).read_bytes()


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
