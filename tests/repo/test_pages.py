"""Every fenced block of the README and of `docs` is tried, by its language.

===========  =====================================================================================
``python``   is a program: it runs as a script in a folder of its own, and prints what the ``text``
             right after it says, or nothing. A comment ``<!-- around … -->`` before it makes a
             program of a fragment, which takes the place of the comment's line ``[block]``.
``console``  what is after a ``$`` runs, and prints what follows it. Without a ``$`` it is for the
             reader's machine: the commands exist.
``toml``     is read as a configuration.
``ini``      has the form of such files.
``rust``     is compiled, by a test of the examples in Rust.
``text``     is what a program prints, or a drawing.
===========  =====================================================================================

In what is printed ``…`` stands for any text of a line, and for any lines where it is alone. A block
with ``title="name"`` is that file, for the blocks of the page that come after it.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from markdown import Block, blocks

import snakepit

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
LANGUAGES = {"python", "console", "toml", "rust", "text", "ini"}
# Of the files of a Rust program alone; a test in Rust compares that table with the defaults.
OF_RUST = re.compile(r"^retry_budget = .*\n", re.MULTILINE)
COMPILED = "examples/rust/src/documents.rs"


@dataclass(frozen=True)
class Shown:
    """A block, with the files that its page has shown so far and what comes right after it."""

    page: str
    block: Block
    files: dict[str, str]
    said: str = ""

    @property
    def is_module(self) -> bool:
        """Whether other blocks use it, and it is nothing to try by itself."""
        return self.block.language == "python" and bool(self.block.title)

    def lay(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def shown() -> list[Shown]:
    found = list[Shown]()
    for page in PAGES:
        files = dict[str, str]()
        for block, after in pairwise([*blocks(text_of(page)), Block("", "", 0)]):
            if block.title:
                files = {**files, block.title: block.program}
            said = after.text if after.directly and after.language == "text" else ""
            found.append(Shown(page, block, files, said))
    return found


SHOWN = shown()


def of(*languages: str) -> pytest.MarkDecorator:
    chosen = [it for it in SHOWN if it.block.language in languages and not it.is_module]
    return pytest.mark.parametrize(
        "it", chosen, ids=[f"{Path(it.page).stem}-line{it.block.line}" for it in chosen]
    )


@of("python")
def test_a_program_prints_what_follows_it(it: Shown, tmp_path: Path) -> None:
    it.lay(tmp_path)
    script = tmp_path / "program.py"
    script.write_text(it.block.program)
    ended = run([sys.executable, "-W", "error", str(script)], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert matches(it.said, ended.stdout), ended.stdout


@pytest.mark.parametrize(
    "it",
    [it for it in SHOWN if it.is_module],
    ids=lambda it: f"{Path(it.page).stem}-{it.block.title}",
)
def test_a_module_of_a_page_is_used_by_it(it: Shown) -> None:
    stem = Path(it.block.title).stem
    others = [block for block in blocks(text_of(it.page)) if block != it.block]
    assert any(re.search(rf"\b{stem}\b", block.text) for block in others)


@of("console")
def test_commands_print_what_follows_them(it: Shown, tmp_path: Path) -> None:
    it.lay(tmp_path)
    for command, expected in commands(it.block.text):
        ended = run(["bash", "-c", command], tmp_path, stderr=subprocess.STDOUT)
        assert matches(expected, ended.stdout), f"$ {command}\n{ended.stdout}"


@of("console")
def test_a_command_for_the_reader_exists(it: Shown) -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = run([sys.executable, "-m", "snakepit", "--help"], ROOT).stdout
    for line in it.block.text.splitlines() if "$ " not in it.block.text else ():
        words = line.partition(" #")[0].split()
        match words:
            case ["make", target, *_]:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
            case ["snakepit", command, *_]:
                assert re.search(rf"\b{command}\b", known), line
            case [name, *_]:
                assert name in {"pip", "cargo", "python", "cp"}, line


@of("toml")
def test_a_configuration_is_read(
    it: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = it.block.title or "snakepit.toml"
    it.lay(tmp_path)
    (tmp_path / name).write_text(OF_RUST.sub("", it.block.program))
    monkeypatch.chdir(tmp_path)
    named = "adapter" in it.block.program
    read = snakepit.settings(name, **({} if named else {"adapter": "my_app:Model"}))
    assert read.pools
    for pool in read.pools:
        assert read.pool(pool).values()


@of("ini")
def test_a_file_for_another_program_has_its_form(it: Shown) -> None:
    parser = configparser.ConfigParser(strict=False)
    parser.read_string(it.block.text)
    assert parser.sections()


@of("rust")
def test_rust_is_compiled(it: Shown) -> None:
    if it.page == "README.md":
        programs = "".join(file.read_text() for file in (ROOT / "examples/rust").glob("*.rs"))
        assert all(line.strip() in programs for line in it.block.text.splitlines())
    else:
        assert f'{it.page}")' in (ROOT / COMPILED).read_text(), f"{it.page} is not in {COMPILED}"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    text = text_of(page)
    found = blocks(text)
    assert [block.line for block in found if block.language not in LANGUAGES] == []
    fences = re.findall(r"^[ >]*```", text, re.MULTILINE)
    assert len(fences) == 2 * len(found), "a fence that is indented is not tried"
    assert all(block.language in {"python", "toml"} for block in found if block.around)


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    """`path` or `path::name`, from the root; rows of `docs/faults.md` have a test of their own."""
    named = re.findall(
        r"`((?:tests|crates|examples)/[^`]+\.(?:py|rs)(?:::[a-z_]\w*)?)`", text_of(page)
    )
    for test in named:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), test
        assert re.search(rf"(def|fn) {name}\b", (ROOT / path).read_text()), test


def test_every_rule_of_security_names_a_test() -> None:
    told = text_of("docs/security.md")
    tables = re.split(r"^\| rule \| shown by \|\n", told, flags=re.MULTILINE)[1:]
    assert len(tables) >= 4
    for table in tables:
        for rule in re.findall(r"^\| (?!-)(.*) \|$", table.partition("\n\n")[0], re.MULTILINE):
            assert re.search(r"\| `(?:tests|crates)/[^`]+`$", rule) or "`, `" in rule, rule


def run(
    command: list[str], folder: Path, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=100,
        check=False,
    )


def commands(text: str) -> list[tuple[str, str]]:
    """Each command after a ``$``, which a backslash at its end continues, and what it prints."""
    parts = re.split(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)\n", text, flags=re.MULTILINE)
    return [*zip(parts[1::2], parts[2::2], strict=True)]


def matches(expected: str, said: str) -> bool:
    """Whether that was said, with ``…`` for what may be anything."""
    pattern = re.escape(expected)
    pattern = re.sub(r"^…\\\n", r"(?:.*\n)*", pattern, flags=re.MULTILINE)
    return re.fullmatch(pattern.replace("…", "[^\n]*"), said) is not None
