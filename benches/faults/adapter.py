"""The tasks as tools. Imported by our workers."""

from __future__ import annotations

from typing import Any

from snakepit_bridge import BaseAdapter, tool

from . import tasks


class Tasks(BaseAdapter):
    @tool
    def run(self, task: str, path: str | None) -> Any:
        return tasks.TASKS[task](path)


class Broken(Tasks):
    def initialize(self) -> None:
        tasks.broken_initializer()
