"""Reads what the tests need out of Markdown: fenced blocks, table rows, relative links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in order."""
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def rows(text: str, first_column: str) -> Iterator[list[str]]:
    """The cells of the table whose first heading is ``first_column``."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] == first_column:
            inside = True
        elif inside and not line.startswith("|"):
            return
        elif inside and not set(line) <= set("|-: "):
            yield cells


def relative_links(text: str) -> list[str]:
    """Targets inside the repository, without their anchors."""
    prose = FENCE.sub("", text)
    return [link for link in LINK.findall(prose) if "://" not in link]
