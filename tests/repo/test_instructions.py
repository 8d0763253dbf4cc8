"""Instruction counts are read and compared. Nothing is counted here: that takes valgrind.

`recorded/gungraun.jsonl` is what the runner printed, shortened; `cargo` and the others are stood in
for by scripts that print it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECORDED = Path(__file__).parent / "recorded/gungraun.jsonl"
COUNTED = {
    "state::queue.slots_8": 171_684,
    "state::queue.slots_64": 188_663,
    "control::to_worker": 689_019,
}


def counts(folder: Path, name: str, rustc: str = "rustc 1.95.0", **changed: int | None) -> Path:
    found = {**COUNTED, **{key.replace("__", "::"): n for key, n in changed.items()}}
    file = folder / f"{name}.json"
    instructions = {key: n for key, n in found.items() if n is not None}
    file.write_text(json.dumps({"rustc": rustc, "valgrind": "v", "instructions": instructions}))
    return file


def compare(root: Path, base: Path, head: Path, *options: str) -> tuple[int, str]:
    program = root / "benches/instructions.py"
    ended = subprocess.run(
        [sys.executable, program, "--compare", base, head, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_counts_are_read_from_what_the_runner_prints(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "benches"))
    from counts import Counts

    # One benchmark of the record has no parameter, and was not counted before.
    read = Counts.read(RECORDED.read_text(), rustc="r", valgrind="v")
    assert read.instructions == COUNTED


def test_more_than_the_limit_fails_and_is_named(root: Path, tmp_path: Path) -> None:
    base = counts(tmp_path, "base")
    more = counts(tmp_path, "more", control__to_worker=689_019 * 106 // 100)

    code, told = compare(root, base, more)
    assert code == 1
    assert [line for line in told.splitlines() if line.endswith("MORE")] == [
        "control::to_worker                                 689,019       730,360   +6.00 %  MORE"
    ]
    assert "1 of 3 have over 5 % more" in told
    assert compare(root, base, more, "--limit", "7")[0] == 0


def test_fewer_instructions_and_the_same_pass(root: Path, tmp_path: Path) -> None:
    base, fewer = counts(tmp_path, "base"), counts(tmp_path, "fewer", control__to_worker=500_000)
    assert compare(root, base, base)[0] == 0
    code, told = compare(root, base, fewer)
    assert code == 0
    assert "-27.43 %" in told


def test_new_and_gone_benchmarks_are_told_and_not_judged(root: Path, tmp_path: Path) -> None:
    base = counts(tmp_path, "base")
    head = counts(tmp_path, "head", control__to_worker=None, control__to_host=5)
    code, told = compare(root, base, head)
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in told.splitlines() if "::" in line}
    assert lines["control::to_worker"] == ["689,019", "gone"]
    assert lines["control::to_host"] == ["new", "5"]


def test_counts_of_different_compilers_are_not_compared(root: Path, tmp_path: Path) -> None:
    base, head = counts(tmp_path, "base", rustc="rustc 1.94.0"), counts(tmp_path, "head")
    code, told = compare(root, base, head)
    assert code == 2
    assert "rustc 1.94.0" in told
    assert "rustc 1.95.0" in told


class Checkout:
    """A repository with nothing in it but the comparison; a commit says what will be counted."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder, tools = folder / "checkout", folder / "tools"
        (self.folder / "benches/rust").mkdir(parents=True)
        tools.mkdir()
        for name in ("instructions.py", "counts.py"):
            shutil.copy(root / "benches" / name, self.folder / "benches")
        lock = '[[package]]\nname = "gungraun"\nversion = "0.20.0"\n'
        (self.folder / "Cargo.lock").write_text(lock)
        for name, script in {
            "cargo": '[ "$1" = install ] || { cat counted.jsonl; '
            'echo "$CARGO_TARGET_DIR $(stat --format %Y counted.jsonl)" >> "$BUILDS"; }',
            "rustc": "echo rustc",
            "valgrind": "echo valgrind",
        }.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "a"),
            **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.org"),
            **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2001-01-01T00:00:00Z"),
            **dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull),
        }
        self.environment["BUILDS"] = str(folder / "builds")
        self.git("init", "--quiet")

    def builds(self) -> list[tuple[str, float]]:
        """Build folder and date of the sources, of each build."""
        lines = Path(self.environment["BUILDS"]).read_text().splitlines()
        return [(folder, float(date)) for folder, date in map(str.split, lines)]

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, env=self.environment, check=True)

    def commit(self, message: str, to_worker: int) -> None:
        text = RECORDED.read_text().replace("689019", str(to_worker))
        (self.folder / "counted.jsonl").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def against(self, revision: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-B", "benches/instructions.py", "--against", revision],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, tmp_path)


def test_a_commit_is_counted_beside_the_one_that_it_came_from(checkout: Checkout) -> None:
    (checkout.folder / "benches/rust/instructions.rs").touch()
    checkout.commit("base", 100_000)
    checkout.commit("slower", 110_000)
    code, told = checkout.against("HEAD~1")
    assert code == 1
    assert "+10.00 %  MORE" in told
    assert "More-instructions: " in told

    checkout.commit("Say why\n\nMore-instructions: deadlines are checked twice", 110_000)
    code, told = checkout.against("HEAD~2")
    assert code == 0
    assert "which is meant: deadlines are checked twice" in told


def test_no_build_can_pass_for_another(checkout: Checkout) -> None:
    """Cargo tells sources apart by place and date: they look alike in two checkouts."""
    began = int(time.time())
    (checkout.folder / "benches/rust/instructions.rs").touch()
    checkout.commit("base", 100_000)
    checkout.commit("head", 90_000)
    assert checkout.against("HEAD~1")[0] == 0
    (base, date), (head, _) = checkout.builds()
    assert base != head
    assert date >= began, "the commit's own date may be older than an earlier base's build"


def test_a_base_without_the_benchmark_is_told(checkout: Checkout) -> None:
    checkout.commit("before there were counts", 1)
    (checkout.folder / "benches/rust/instructions.rs").touch()
    checkout.commit("the first counts", 100_000)
    code, told = checkout.against("HEAD~1")
    assert code == 0
    assert "nothing to compare with" in told


def test_an_unknown_revision_is_an_error(checkout: Checkout) -> None:
    checkout.commit("alone", 1)
    code, told = checkout.against("no-such-branch")
    assert code == 2
    assert "no-such-branch" in told
