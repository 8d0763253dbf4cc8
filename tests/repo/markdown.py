"""Reads what the tests need out of Markdown: fenced blocks, table rows, relative links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'\btitle="([^"]+)"')
AROUND = re.compile(r"^<!-- around\n((?:(?!-->).)*)-->\n+\Z", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    line: int
    title: str = ""
    """Name of the file that it shows: ```` ```toml title="snakepit.toml" ````."""
    around: str = ""
    """What a comment before it puts around it, to make a program of a fragment."""
    directly: bool = False
    """Whether only white space is between it and the block before it."""

    @property
    def program(self) -> str:
        """The block, in the place of the line ``[block]`` of what is around it."""
        if not self.around:
            return self.text
        before, indent, after = re.split(r"^([ ]*)\[block\]\n", self.around, flags=re.MULTILINE)
        return before + textwrap.indent(self.text, indent) + after


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in order."""
    made, end = list[Block](), 0
    for found in FENCE.finditer(text):
        language, info, body = found.groups()
        title, between = TITLE.search(info), text[end : found.start()]
        around = AROUND.search(between)
        made.append(
            Block(
                language,
                body,
                text.count("\n", 0, found.start()) + 1,
                title[1] if title else "",
                around[1] if around else "",
                directly=bool(made) and not between.strip(),
            )
        )
        end = found.end()
    return made


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
