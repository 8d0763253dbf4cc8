"""An adapter that computes with tensors of torch."""

from __future__ import annotations

from typing import Any

from snakepit_bridge import BaseAdapter, tool


class Tensors(BaseAdapter):
    @tool
    def double(self, tensor: Any) -> Any:
        import torch

        assert isinstance(tensor, torch.Tensor)
        return tensor * 2

    @tool
    def fill(self, tensor: Any, number: float) -> float:
        """Write to what has arrived; return what is in it then."""
        tensor.fill_(number)
        return float(tensor.sum())

    @tool
    def kinds(self, tensors: dict[str, Any]) -> dict[str, list[Any]]:
        return {
            name: [str(tensor.dtype), list(tensor.shape), tensor]
            for name, tensor in tensors.items()
        }
