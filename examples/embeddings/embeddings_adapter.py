"""What runs in the workers: a model that turns texts into vectors, and an index for each session.

The model is WordLlama's: 32,000 tokens with 256 numbers each, trained so that texts of like meaning
get like vectors. It comes inside its package, so nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import wordllama

from snakepit_bridge import BaseAdapter, tool

DIMENSIONS = 256
BATCH = 256


class Embeddings(BaseAdapter):
    def initialize(self) -> None:
        """Load the model: once for each worker, before it gets its first call."""
        self.model = wordllama.WordLlama.load(
            dim=DIMENSIONS,
            cache_dir=Path(wordllama.__file__).parent,  # where the package has its tokenizer
            disable_download=True,
        )

    @tool
    def embed(self, texts: list[str]) -> np.ndarray:
        """Give one unit vector a text: ``(n, 256)`` float32, which arrives as such an array."""
        vectors: np.ndarray = self.model.embed(texts, norm=True)
        return vectors

    @tool
    def index(self, names: list[str], texts: list[str]) -> Iterator[dict[str, int]]:
        """Make this session's index of ``texts``; yields how far it is after each batch."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            vectors[start : start + len(batch)] = self.embed(batch)
            yield {"done": start + len(batch), "of": len(texts)}
        # At the end, in one step: a caller that gave up leaves no half of an index.
        self.session_context.state["index"] = (names, vectors)

    @tool
    def search(self, query: str, count: int = 3) -> list[dict[str, Any]]:
        """Name the texts of this session's index that are closest to ``query``, closest first."""
        if "index" not in self.session_context.state:
            raise LookupError("this session has no index yet; call `index` first")
        names, vectors = self.session_context.state["index"]
        likeness = vectors @ self.embed([query])[0]  # cosines: all vectors have length 1
        best = np.argsort(-likeness)[:count]
        return [{"name": names[row], "score": float(likeness[row])} for row in best]
