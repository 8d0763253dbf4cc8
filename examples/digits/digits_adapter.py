"""What runs in the workers of the digits demo: a small neural network on handwritten digits.

scikit-learn is imported here and only here, so the host neither pays for it nor dies with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from snakepit_bridge import BaseAdapter, tool

BATCH = 32


class DigitsAdapter(BaseAdapter):
    """Trains one model a session and classifies with it.

    A session's calls share one worker, which is why a model can simply stay in memory here.
    """

    def initialize(self) -> None:
        """Split the 1,797 bundled scans once: a fifth is for testing and never trained on."""
        digits = load_digits()
        self._train_scans, self._test_scans, self._train_labels, self._test_labels = (
            train_test_split(
                digits.data / 16.0,
                digits.target,
                test_size=0.2,
                stratify=digits.target,
                random_state=0,
            )
        )
        self._models: dict[str | None, MLPClassifier] = {}

    @tool
    def ping(self) -> str:
        """Answer at once: what a call costs that does nothing."""
        return "pong"

    @tool
    def scans(self) -> dict[str, Any]:
        """Return the test scans, one row of 64 grey values each, and their labels."""
        return {
            "train": len(self._train_scans),
            "pixels": self._test_scans,
            "labels": self._test_labels,
        }

    @tool
    def train(self, epochs: int) -> Iterator[dict[str, Any]]:
        """Train this session's model from nothing; yield the loss after every epoch."""
        model = MLPClassifier(hidden_layer_sizes=(64,), random_state=0)
        shuffle = np.random.default_rng(0)
        for epoch in range(1, epochs + 1):
            order = shuffle.permutation(len(self._train_scans))
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                model.partial_fit(
                    self._train_scans[rows], self._train_labels[rows], classes=np.arange(10)
                )
            yield {"epoch": epoch, "epochs": epochs, "loss": float(model.loss_)}
        self._models[self.session_context.session_id] = model

    @tool
    def classify(self, pixels: np.ndarray) -> int:
        """Name the digit on one scan of 64 grey values between 0 and 1."""
        model = self._models[self.session_context.session_id]
        return int(model.predict(pixels.reshape(1, -1))[0])
