"""Asks auditwheel whether Linux wheels run wherever their names promise.

    python scripts/check_tags.py WHEEL…

auditwheel knows the symbols of each C library, but looks for libraries on the machine that it runs
on, where musl or glibc is another. Ours need none but the C library, so none is looked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Both names of musl, which is its own loader and takes either for itself.
MUSL = {"libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"}
COMMAND = [sys.executable, "-m", "auditwheel", "show", "--json", "--ldpaths", "/nowhere"]


def platform(tag: str) -> tuple[str, int, int]:
    """C library and its oldest version: `manylinux_2_17_x86_64` is ("many", 2, 17)."""
    parts = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_\w+", tag)
    return (parts[1], int(parts[2]), int(parts[3])) if parts else ("none", 0, 0)


def faults(verdict: dict[str, Any]) -> Iterator[str]:
    """What is wrong by auditwheel's own words."""
    # One platform may be written twice: `manylinux2014_x86_64.manylinux_2_17_x86_64`.
    tag = verdict["wheel"].removesuffix(".whl").rpartition("-")[2].rpartition(".")[2]
    library, *promised = platform(tag)
    needed = set(verdict["external_libs"])
    if library == "musl":
        needed -= MUSL
    if needed:
        yield f"needs {', '.join(sorted(needed))}, which nobody promises"
    found, *oldest = platform(verdict["sym_tag"])
    if found != library or oldest > promised:
        yield f"is tagged {tag}, its symbols make it {verdict['sym_tag']}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", nargs="*", type=Path, metavar="WHEEL")
    wheels: list[Path] = parser.parse_args().wheels
    if wheels and importlib.util.find_spec("auditwheel") is None:
        sys.exit(f"auditwheel is missing: {sys.executable} -m pip install --group dist")
    found = []
    for wheel in wheels:
        shown = subprocess.run([*COMMAND, wheel], stdout=subprocess.PIPE, text=True, check=True)
        verdict = json.loads(shown.stdout)
        found += [f"{wheel.name} {fault}" for fault in faults(verdict)]
        print(f"{wheel.name}: {verdict['sym_tag']}")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
