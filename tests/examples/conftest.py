"""The examples as a newcomer starts them: in a process of their own, somewhere else."""

from __future__ import annotations

from pool.conftest import nothing_left  # noqa: F401, a fixture
