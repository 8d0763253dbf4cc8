"""Writes the README's section "How reliable" from the records of the soak and the fault matrix.

python benches/reliability.py            write it
python benches/reliability.py --check    only say whether it is so; exit code 1: it is not
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import soak
from faults import report

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
HEADING = "## How reliable"
BEHIND = "## Platform"
"""What it stands in front of, where it is not there yet."""


HEAD = """\
Every fault of a [list](docs/faults.md) is injected for real (`make soak`), and what happens is
measured against what is promised:
"""
BETWEEN = """\
The same is done to other pools (`make bench-faults`). ✓: nobody is harmed who need not be, the
caller is told why, and nothing is left.
"""
FOOT = """\
All figures are in [benches/results](benches/results/soak.md), and what became of every
[other pool](benches/results/fault_matrix.md).
"""


def section(record: dict[str, Any], matrix: dict[str, Any]) -> str:
    """The section, with an empty line behind it."""
    promises = "\n".join(soak.headlines(record)) + "\n"
    rivals = "\n".join(report.readme(matrix)) + "\n"
    return "\n".join([f"{HEADING}\n", HEAD, promises, BETWEEN, rivals, FOOT, ""])


def written(readme: str, text: str) -> str:
    """A README with this section in place of the one that it has, or in front of ``BEHIND``.

    Raises:
        ValueError: There is neither.
    """
    place = rf"^{re.escape(HEADING)}\n.*?(?=^## )|(?=^{re.escape(BEHIND)}$)"
    now, count = re.subn(place, lambda _: text, readme, count=1, flags=re.MULTILINE | re.DOTALL)
    if not count:
        raise ValueError(f"the README has neither {HEADING!r} nor {BEHIND!r}")
    return now


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    record = json.loads((HERE / "results/soak.json").read_text())
    readme = README.read_text()
    now = written(readme, section(record, report.load(HERE / "results")))
    if asked.check:
        if now != readme:
            print("the README is not what the records say: make reliability", file=sys.stderr)
        return int(now != readme)
    README.write_text(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
