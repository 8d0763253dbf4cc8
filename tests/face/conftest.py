from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from . import fake_core

try:
    import snakepit._core as _core
except ImportError:
    # On a tree that was never built; where the real one exists, it is only patched.
    sys.modules["snakepit._core"] = fake_core.module()
    import snakepit._core as _core


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the fake in the place of all that the face asks of the native half."""
    for name in (
        "Pool",
        "Inbox",
        "HostQueue",
        "assign_devices",
        "encode",
        "decode",
        "metrics_text",
    ):
        monkeypatch.setattr(_core, name, getattr(fake_core, name), raising=False)
    # Pools over the fake are not among those that later tests of this process ask for numbers.
    from snakepit import _exit

    monkeypatch.setattr(_exit, "open_pools", weakref.WeakSet())
    fake_core.Inbox.made.clear()


class Adapter:
    """What pools of these tests are made for; nobody calls it."""


@pytest.fixture
def make_pool() -> Iterator[Any]:
    """Makes a ``Pool`` over the fake engine; ``pool._engine`` is the fake."""
    import snakepit

    pools: list[Any] = []

    def make(adapter: Any = Adapter, **options: Any) -> Any:
        pools.append(snakepit.Pool(adapter, **{"size": 2, **options}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
