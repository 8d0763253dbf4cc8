"""The protocol's messages as the kit speaks them."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

PACKAGE = "snakepit.v1"
VERSION = 1
"""The version of the protocol that a worker's Hello must name."""


@functools.cache
def messages() -> SimpleNamespace:
    """Every message class of the protocol, by its name: ``messages().HostFrame``."""
    from snakepit_bridge._grpcio.messages import CLASSES

    return SimpleNamespace(**CLASSES)


def failure_kind(failure: Any) -> str:
    """The name of a failure's kind: ``EXCEPTION``, ``ENCODE`` …; a number that has none is itself.

    Kinds are an open enum: a newer worker may send one that this kit does not know.
    """
    names = failure.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    if failure.kind not in names:
        return str(failure.kind)
    return str(names[failure.kind].name.removeprefix("FAILURE_KIND_"))
