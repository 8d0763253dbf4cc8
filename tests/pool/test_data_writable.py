"""Large values that the receiver writes to: its own, and copied only where it does."""

from __future__ import annotations

import gc
import struct
import sys
import types
from typing import Any

import pytest

np = pytest.importorskip("numpy")

import snakepit  # noqa: E402
import snakepit_bridge  # noqa: E402
from pool.conftest import until  # noqa: E402
from snakepit_bridge._interop import _own, _tensor  # noqa: E402

DATA = "pool.data_adapters:Data"
LENGTH = 1 << 18
"""Items of an array of 2 MiB."""


@pytest.fixture
def pool(make_pool: Any) -> Any:
    return make_pool(DATA, size=1, grace=0.3)


@pytest.fixture(autouse=True)
def little_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process arrays of 1 MiB are mapped, as those of 32 MiB are otherwise."""
    monkeypatch.setattr(_own, "_LEAST", 1 << 20)


@pytest.fixture
def array() -> Any:
    return np.arange(float(LENGTH))


def test_what_is_written_to_is_copied_and_nothing_else(pool: Any) -> None:
    array = pool.empty(5 << 20)  # 40 MiB
    array[:] = 1.0
    pool.execute("changed", {"array": array})  # what the first one imports is not counted
    changed, sent, grown, kind = pool.execute("changed", {"array": array})
    assert (changed, sent) == (array.size + array.size // 10, array.size)
    assert kind == "Own"
    assert grown < array.nbytes / 2, "a tenth was written to"


def test_results_are_ones_own_too(pool: Any, array: Any) -> None:
    result = pool.execute("echo", {"value": array})
    own, other = snakepit.writable(result), snakepit.writable(result)
    own[:] = 0.0
    assert (own.sum(), other.sum(), result.sum()) == (0.0, array.sum(), array.sum())
    assert pool.execute("total", {"array": own}) == 0.0
    del result, other
    gc.collect()
    # Its pages are its own, and what it has not written to stays as it was sent.
    half = snakepit.writable(pool.execute("echo", {"value": array}))
    half[: LENGTH // 2] = 0.0
    for _ in range(5):
        pool.execute("echo", {"value": np.full(LENGTH, 9.0)})
    assert half.sum() == array[LENGTH // 2 :].sum()
    assert own.sum() == 0.0


def test_memory_comes_back_when_the_own_array_is_gone(pool: Any, array: Any) -> None:
    own = snakepit.writable(pool.execute("echo", {"value": array}))
    assert pool.stats().shared_memory.in_use >= array.nbytes
    own += 1.0
    del own
    gc.collect()

    def unused() -> bool:
        pool.put(array[:10_000]).close()
        return bool(pool.stats().shared_memory.in_use == 0)

    until(unused, "nothing is in use")


def test_any_part_in_any_order(pool: Any, array: Any) -> None:
    whole = pool.execute("echo", {"value": array.reshape(1024, -1)})
    fortran = pool.execute("echo", {"value": np.asfortranarray(array.reshape(1024, -1))})
    for sent in (whole, whole.T, whole[10:20], whole[::-2, 3:], fortran, fortran[:, 1]):
        own = snakepit.writable(sent)
        assert own.flags.writeable
        assert (own.dtype, own.shape) == (sent.dtype, sent.shape)
        assert np.array_equal(own, sent)
        own[...] = -1.0
        assert sent.min() >= 0.0


def test_what_does_not_lie_in_shared_memory_is_copied(pool: Any, make_pool: Any) -> None:
    small = pool.execute("echo", {"value": np.arange(10.0)})
    middle = pool.execute("echo", {"value": np.arange(1e5)})
    others = [small, middle, pool.put(np.arange(float(LENGTH))).value()]
    alone = make_pool(DATA, size=1, shared_memory=None)
    others.append(alone.execute("echo", {"value": np.arange(float(LENGTH))}))
    for sent in others:
        assert not sent.flags.writeable
        own = snakepit_bridge.writable(sent)
        own += 1.0
        assert own.sum() == sent.sum() + len(sent)
    mine = np.arange(3.0)
    assert snakepit.writable(mine) is mine
    with pytest.raises(TypeError, match="a numpy array is wanted, not list"):
        snakepit.writable([1])


class Flat:
    """As much of a tensor as is asked for: torch itself is in no group of tests."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def reshape(self, shape: tuple[int, ...]) -> Flat:
        return Flat(self.array.reshape(shape))


def test_tensors_are_mapped_to_be_written_to(
    pool: Any, array: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch: Any = types.ModuleType("torch")
    torch.from_numpy = lambda array: array
    torch.frombuffer = lambda data, dtype: Flat(np.frombuffer(data, dtype))
    monkeypatch.setitem(sys.modules, "torch", torch)
    view = pool.execute("echo", {"value": memoryview(array)}).obj
    head = b"\x03<f8\x02" + struct.pack(">2Q", 1024, LENGTH // 1024)
    tensor = _tensor.decode(memoryview(head), view)
    assert tensor.array.flags.writeable
    assert np.array_equal(tensor.array, array.reshape(1024, -1))
    tensor.array[:] = 0.0
    assert np.frombuffer(view).sum() == array.sum()
