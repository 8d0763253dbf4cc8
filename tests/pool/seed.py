"""The Python in the README of Snakepit 0.8.3, as it stands there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

README = Path(__file__).parents[1] / "data" / "snakepit-0.8.3-README.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippet(heading: str) -> str:
    """The first Python block below ``heading``."""
    text = README.read_text()
    (begin,) = [found.end() for found in re.finditer(rf"^#+ {re.escape(heading)}$", text, re.M)]
    block = _BLOCK.search(text, begin)
    assert block is not None
    return block[1]


def every_snippet() -> list[str]:
    return _BLOCK.findall(README.read_text())


def inside(code: str, head: str) -> str:
    """``code`` as the body of ``head``."""
    return f"{head}\n{textwrap.indent(code, '    ')}"


# What the README leaves to its reader.
MODEL = """
class Model:
    def predict(self, text):
        return text.upper()

def load_model():
    return Model()
"""
