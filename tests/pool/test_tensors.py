"""Tensors of torch in calls, with torch on both sides; `make test-tensors` installs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is large: `make test-tensors` installs it")

TENSORS = "pool.tensor_adapters:Tensors"
Make = Callable[..., Any]


def test_large_ones_go_through_shared_memory_and_come_back(make_pool: Make, own_line: str) -> None:
    pool = make_pool(TENSORS, size=1, line=own_line)
    tensor = torch.arange(1 << 20, dtype=torch.float32).reshape(1024, 1024)
    doubled = pool.execute("double", {"tensor": tensor}, timeout=120)
    assert isinstance(doubled, torch.Tensor)
    assert torch.equal(doubled, tensor * 2)
    told = pool.stats().shared_memory
    assert (told.made, told.faults, told.fallbacks) == (1, 0, 0)


def test_who_writes_to_one_writes_to_its_own(make_pool: Make, own_line: str) -> None:
    pool = make_pool(TENSORS, size=1, line=own_line)
    tensor = torch.zeros(1 << 18)
    told = pool.execute("fill", {"tensor": tensor, "number": 2.0}, timeout=120)
    assert (told, float(tensor.sum())) == (2.0 * (1 << 18), 0.0)
    kept = pool.put(tensor)
    assert pool.execute("fill", {"tensor": kept, "number": 3.0}) == 3.0 * (1 << 18)
    assert pool.execute("double", {"tensor": kept}).count_nonzero() == 0


def test_types_and_strides_arrive_as_they_are(make_pool: Make, own_line: str) -> None:
    pool = make_pool(TENSORS, size=1, line=own_line)
    grid = torch.arange(12, dtype=torch.int64).reshape(3, 4)
    sent = {
        "turned": grid.T,
        "stepped": grid[:, ::2],
        "nothing": grid[:0],
        "one": torch.tensor(1.5),
        "halves": torch.ones(3, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "complex": torch.tensor([1 + 2j]).conj(),
        "learned": torch.nn.Parameter(torch.ones(2)),
    }
    for name, (kind, shape, tensor) in pool.execute(
        "kinds", {"tensors": sent}, timeout=120
    ).items():
        assert (kind, shape) == (str(sent[name].dtype), list(sent[name].shape))
        assert torch.equal(tensor, sent[name].detach())


def test_one_without_memory_is_named(make_pool: Make) -> None:
    from snakepit.errors import EncodeError

    pool = make_pool(TENSORS, size=1)
    with pytest.raises(EncodeError, match=r"to_dense") as caught:
        pool.execute("double", {"tensor": torch.eye(2).to_sparse()})
    assert "tensor" in str(caught.value.path)
