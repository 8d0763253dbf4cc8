"""Types of the program that travel: encoders by type, decoders by name.

.. code-block:: text

    value ─▶ encoder of its type ─▶ plain value ─▶ extension 11: name, plain value
                                                     └─▶ decoder of that name ─▶ value

One registry a process, the same for hosts and workers: each side registers what it sends and what
it receives, as a rule in a module that both import. Both codecs ask it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

ENCODERS: dict[type, tuple[str, Callable[[Any], Any]]] = {}
DECODERS: dict[str, Callable[[Any], Any]] = {}

_LONGEST = 255
"""Bytes of a name: its length is one byte on the wire."""
_PLAIN = (type(None), bool, int, float, str, bytes, list, tuple, dict)
"""Travel by themselves, before a registry is asked."""


def register_encoder(kind: type[T], encode: Callable[[T], Any], *, name: str | None = None) -> None:
    """Have values of a type travel, in arguments and results, as what ``encode`` makes of them.

    Subclasses travel like that too, unless they have an encoder of their own. A later call for the
    same type counts.

    Args:
        kind: The type. Not one of the plain ones, which travel by themselves.
        encode: From a value of the type to one that can travel; it may hold values that have
            encoders themselves. What it raises is the cause of an ``EncodeError``.
        name: What the other side knows the type by: 1 to 255 bytes. Default: module and name of the
            type, ``"my_app.money.Money"``.

    Raises:
        TypeError: ``kind`` is no type, or a plain one, or ``encode`` cannot be called.
        ValueError: ``name`` is empty or too long.

    Example:
        >>> register_encoder(complex, lambda value: [value.real, value.imag])
        >>> register_decoder(complex, lambda parts: complex(*parts))
    """
    if not isinstance(kind, type):
        raise TypeError(f"register_encoder() takes a type, not {kind!r}")
    if kind in _PLAIN or kind is object:
        raise TypeError(f"register_encoder(): {kind.__name__} cannot have an encoder")
    ENCODERS[kind] = (_name(kind if name is None else name), _callable(encode))
    _hand_over()


def register_decoder(name: str | type, decode: Callable[[Any], Any]) -> None:
    """Have values that travel under a name become what ``decode`` makes of them.

    A value whose name has no decoder where it arrives is a ``DecodeError`` that says so.

    Args:
        name: What the other side's ``register_encoder`` said; of a type: its default name.
        decode: From what the encoder made, as it has arrived, to the value. It gets what comes from
            another process: check it. What it raises is the cause of a ``DecodeError``.

    Raises:
        TypeError: ``decode`` cannot be called.
        ValueError: ``name`` is empty or too long.
    """
    DECODERS[_name(name)] = _callable(decode)
    _hand_over()


def encoder_of(kind: type) -> tuple[str, Callable[[Any], Any]] | None:
    """Name and encoder of the nearest registered ancestor of ``kind``."""
    for base in kind.__mro__:
        if (found := ENCODERS.get(base)) is not None:
            return found
    return None


def _name(name: str | type) -> str:
    if isinstance(name, type):
        module = "__main__" if name.__module__ == "__snakepit_main__" else name.__module__
        name = f"{module}.{name.__qualname__}"
    if not 0 < len(name.encode()) <= _LONGEST:
        raise ValueError(f"the name of a type has 1 to {_LONGEST} bytes, unlike {name!r:.80}")
    return name


def _callable(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if not callable(function):
        raise TypeError(f"a function is needed, not {function!r}")
    return function


def _hand_over() -> None:
    """Let the native codec know, which asks nobody until then. One loaded later asks itself."""
    core = sys.modules.get("snakepit._core")
    use = getattr(core, "use_registry", None)
    if use is not None:
        use(ENCODERS, DECODERS)
