"""An adapter that was given something that others must not see."""

from __future__ import annotations

import sys

from snakepit_bridge import BaseAdapter, tool


class Opens:
    """What runs code of its own where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


class Secretive(BaseAdapter):
    def __init__(self, password: str) -> None:
        self.password = password

    @tool
    def knows(self, password: str) -> bool:
        return password == self.password

    @tool
    def loaded(self, names: list[str]) -> list[str]:
        return [name for name in names if name in sys.modules]

    @tool
    def trap(self) -> Opens:
        return Opens()

    @tool
    def trapped_error(self) -> None:
        raise ValueError("look", Opens())
