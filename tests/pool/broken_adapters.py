"""Tools that raise whatever an exception can be made of, and return what cannot travel.

Imported by hosts and workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snakepit_bridge import BaseAdapter, register_decoder, register_encoder, tool


class QuotaError(ValueError):
    """As in docs/errors.md."""

    def __init__(self, user: str, limit: int) -> None:
        super().__init__(user, limit)
        self.user, self.limit = user, limit

    def __str__(self) -> str:
        return f"{self.user} is over {self.limit}"

    def __snakepit_restore__(self, user: str, limit: int) -> None:
        self.user, self.limit = user, limit


class DiskQuotaError(QuotaError):
    pass


class Money:
    def __init__(self, cents: int, currency: str) -> None:
        self.cents, self.currency = cents, currency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and vars(self) == vars(other)

    __hash__ = object.__hash__


register_encoder(Money, lambda money: [money.cents, money.currency])
register_decoder(Money, lambda parts: Money(*parts))

DEVICES = """\
Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! \
(when checking argument for argument mat1 in method wrapper_CUDA_addmm)"""
MEMORY = """\
CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which \
1.31 GiB is free."""

MESSAGES: dict[str, tuple[type[Exception], str]] = {
    "shape": (RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    "device": (RuntimeError, DEVICES),
    "memory": (type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"}), MEMORY),
}


class Opaque:
    def __repr__(self) -> str:
        return "Opaque(password='hidden')"


class Model:
    def model_dump(self) -> dict[str, Any]:
        return {"layers": [3], "inner": Opaque()}


class Broken(BaseAdapter):
    @tool
    def ping(self) -> str:
        return "pong"

    @tool
    def chain(self) -> None:
        try:
            {}["first"]
        except KeyError as error:
            error.__notes__ = ["a note of the first"]
            raise OSError("second") from error

    @tool
    def handled(self) -> None:
        try:
            {}["first"]
        except KeyError:
            raise OSError("second")  # noqa: B904

    @tool
    def group(self) -> None:
        inner = ExceptionGroup("inner", [QuotaError("ann", 5)])
        raise ExceptionGroup("outer", [TypeError("no"), inner, KeyError("k")])

    @tool
    def quota(self, user: Any, limit: int) -> None:
        raise DiskQuotaError(user, limit)

    @tool
    def diagnosed(self, what: str) -> None:
        kind, message = MESSAGES[what]
        raise kind(message)

    @tool
    def multiply(self) -> None:
        import numpy as np

        np.zeros((2, 3)) @ np.zeros((4, 5))

    @tool
    def model(self) -> Any:
        return [Model(), {1}]

    @tool
    def models(self) -> Iterator[Any]:
        yield Model()
        yield {1}

    @tool
    def describe(self, value: Any) -> str:
        return repr(value)

    @tool
    def pay(self, money: Any) -> Any:
        return [Money(money.cents * 2, money.currency)]
