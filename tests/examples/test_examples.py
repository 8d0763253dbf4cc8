"""The examples print what examples/README.md says, use what is public alone, and leave nothing."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text()
SHOWN = dict(re.findall(r"^## (\w+)\.py\n\n```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
MEASURED = re.compile(r"\b\d+\.\d\d s\b")
LONGEST = 120


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_prints_what_is_shown(name: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    shown, printed = (MEASURED.sub("# s", it) for it in (SHOWN[name], ended.stdout))
    if not doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS):
        assert printed == shown  # for the comparison that pytest prints
    assert list(tmp_path.iterdir()) == [], "no file is left either"


def test_all_programs_are_shown() -> None:
    programs = {program.stem for program in EXAMPLES.glob("*.py")}
    assert programs == SHOWN.keys()
    listed = re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\) \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(programs)


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*.py")), ids=lambda it: it.stem)
def test_an_example_is_short_and_uses_what_is_public(program: Path) -> None:
    text = program.read_text()
    assert len(text.splitlines()) <= LONGEST
    private = [name for name in imported(ast.parse(text)) if re.search(r"\b_(?!_future)", name)]
    assert private == []


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
