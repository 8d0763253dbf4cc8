"""docs/protocol.md names what the host calls a violation: no more, no less."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_lists_each_violation() -> None:
    code = (ROOT / "crates/core/src/error/violation.rs").read_text()
    enum = code[code.index("pub enum Violation") : code.index("impl Violation")]
    variants = set(re.findall(r"^    ([A-Z]\w+)(?: \{|,)$", enum, re.MULTILINE))

    page = (ROOT / "docs/protocol.md").read_text()
    section = page[page.index("\n## Violations") :].split("\n## ")[1]
    cells = re.findall(r"^\| ([A-Z][A-Za-z, ]+) \|", section, re.MULTILINE)
    listed = {name for cell in cells for name in cell.split(", ")}

    assert len(variants) > 15
    assert listed == variants
