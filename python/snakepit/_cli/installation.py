"""Checks of what is installed: this Python, the parts of Snakepit, what the other end needs."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator

from snakepit._cli.check import Check, pip_install

_GRPCIO = {"grpc": "grpcio", "google.protobuf": "protobuf", "msgpack": "msgpack"}


def host() -> Iterator[Check]:
    """The Python that runs this."""
    from snakepit import _core

    told = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield Check("host", True, f"{told}, {_core.__build__} build")


def versions() -> Iterator[Check]:
    """Three parts that are released together."""
    import snakepit_bridge
    from snakepit import __version__, _core

    wanted = _core.__version__
    found = {"snakepit": __version__, "snakepit_bridge": snakepit_bridge.__version__}
    others = [f"{name} {version}" for name, version in found.items() if version != wanted]
    if not others:
        yield Check("versions", True, f"snakepit, its core and snakepit_bridge are {wanted}")
        return
    told = f"the core is {wanted}, but {', '.join(others)}"
    both = (f"snakepit-pool=={wanted}", f"snakepit-bridge=={wanted}")
    yield Check("versions", False, told, pip_install("--force-reinstall", *both))


def grpcio() -> Iterator[Check]:
    """What workers need whose Python cannot load the native end."""
    missing = [package for module, package in _GRPCIO.items() if not _is_there(module)]
    if missing:
        told = f"{', '.join(missing)} missing; only workers on other Pythons need them, there"
        yield Check("grpcio end", None, told, pip_install("snakepit-bridge[grpc]"))
    else:
        yield Check("grpcio end", True, "grpcio, protobuf and msgpack are installed")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # Not even its package.
        return False
