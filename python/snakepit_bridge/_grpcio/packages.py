"""Whether this interpreter has what this end of the line is made of, and what mends it."""

from __future__ import annotations

import sys

REQUIREMENTS = ("grpcio>=1.80", "msgpack>=1.1", "protobuf>=6.33")
"""As the extra ``grpc`` of the distribution has them."""

_MODULES = {
    "grpcio": "grpc",
    "msgpack": "msgpack",
    "protobuf": "google.protobuf.message_factory",
}


def missing(why_not_native: str) -> str:
    """What a person must read and do where a package is missing; empty where none is."""
    from importlib import import_module

    lacking, told = [], []
    for name, module in _MODULES.items():
        try:
            import_module(module)
        except ImportError as error:
            lacking.append(name)
            told.append(str(error))
    if not lacking:
        return ""
    needed = " ".join(f"'{requirement}'" for requirement in REQUIREMENTS)
    return (
        f"{sys.executable} lacks {', '.join(lacking)} ({'; '.join(told)}), of which the grpcio end "
        f"of a worker's line is made. The native end does not serve here: {why_not_native}. "
        f"Mend it with: {sys.executable} -m pip install {needed}"
    )
