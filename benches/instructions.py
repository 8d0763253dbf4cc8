"""Count the instructions of `benches/rust/instructions.rs`, and compare them with another commit's.

Times are noise on a shared machine; instruction counts repeat to a tenth of a per cent. ::

    python benches/instructions.py                        # count the working tree
    python benches/instructions.py --against origin/main  # and what it forked from; which has more?
    python benches/instructions.py --compare base.json head.json

Both are built and counted here, by the same tools. A benchmark that has more than ``--limit`` per
cent more makes the exit code 1, unless a commit since the base says why it must, in a line of its
message of its own: ``More-instructions: deadlines are checked twice now``. Exit code 2: nothing was
compared.

Needs valgrind. The runner, whose version must be gungraun's, is installed into ``target/tools``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from pathlib import Path

from counts import Counts, NotComparableError, changes, table

ROOT = Path(__file__).resolve().parent.parent
BENCH = "benches/rust/instructions.rs"
REASON = re.compile(r"^More-instructions:\s*(\S.*)$", re.MULTILINE)


def main() -> int:
    options = arguments()
    try:
        if options.compare:
            base, head = (Counts.load(file) for file in options.compare)
            return verdict(base, head, options.limit, [])
        if options.against:
            return against(options)
        counted = count(ROOT, ROOT / "target")
    except NotComparableError as error:
        print(error, file=sys.stderr)
        return 2
    counted.save(options.out)
    for name, instructions in counted.instructions.items():
        print(f"{instructions:>14,}  {name}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Count instructions, and compare the counts.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--against", metavar="REVISION", help="compare with where HEAD left it")
    what.add_argument("--compare", nargs=2, type=Path, metavar=("BASE", "HEAD"))
    parser.add_argument("--limit", type=float, default=5.0, metavar="PERCENT", help="default: 5")
    parser.add_argument("--out", type=Path, default=ROOT / "target/instructions.json")
    return parser.parse_args()


def against(options: argparse.Namespace) -> int:
    base = git("merge-base", options.against, "HEAD").strip()
    if not git("ls-tree", base, BENCH):
        print(f"{base:.12} has no {BENCH}: nothing to compare with")
        return 0
    reasons = REASON.findall(git("log", "--format=%B", f"{base}..HEAD"))
    with tempfile.TemporaryDirectory(prefix="snakepit-base-") as folder:
        with tarfile.open(fileobj=io.BytesIO(git_bytes("archive", base))) as tree:
            tree.extractall(folder, filter=touched)
        theirs = count(Path(folder), ROOT / "target/instructions")
    ours = count(ROOT, ROOT / "target")
    ours.save(options.out)
    return verdict(theirs, ours, options.limit, reasons)


def touched(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Newer than whatever an earlier base left in its build folder, which cargo would take for it.

    Cargo knows a file by its place in the workspace and its time; a commit's files have its date.
    """
    return tarfile.data_filter(member, folder).replace(mtime=time.time())


def verdict(base: Counts, head: Counts, limit: float, reasons: list[str]) -> int:
    found = changes(base, head)
    print("\n".join(table(found, limit)))
    more = [change for change in found if change.exceeds(limit)]
    if not more:
        print(f"\nnothing has over {limit:g} % more")
        return 0
    print(f"\n{len(more)} of {len(found)} have over {limit:g} % more", end="")
    if reasons:
        print(f", which is meant: {'; '.join(reasons)}")
        return 0
    print("; mend it, or say why in a line `More-instructions: …` of a commit's message")
    return 1


def count(tree: Path, target: Path) -> Counts:
    """Build the benchmark of a tree into a folder of its own, and run it.

    Raises:
        NotComparableError: A tool is missing, or the benchmark does not build.
    """
    print(f"counting {tree}", file=sys.stderr)
    valgrind = output("valgrind", "--version", remedy="apt-get install valgrind")
    rustc = output("rustc", "--version", remedy="https://rustup.rs")
    environment = {
        **os.environ,
        "GUNGRAUN_RUNNER": str(runner(tree)),
        "CARGO_TARGET_DIR": str(target),
    }
    command = ["cargo", "bench", "--quiet", "--locked", "--package", "snakepit-testkit"]
    command += ["--features", "instructions", "--bench", "instructions"]
    ended = subprocess.run(
        [*command, "--", "--output-format=json"],
        cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        raise NotComparableError(f"the benchmark of {tree} ended with exit code {ended.returncode}")
    return Counts.read(ended.stdout, rustc=rustc, valgrind=valgrind)


def runner(tree: Path) -> Path:
    """The program that drives valgrind; it refuses a library of any other version than its own."""
    locked = tomllib.loads((tree / "Cargo.lock").read_text())["package"]
    version = next(package["version"] for package in locked if package["name"] == "gungraun")
    folder = ROOT / f"target/tools/gungraun-runner-{version}"
    program = folder / "bin/gungraun-runner"
    if not program.exists():
        print(f"installing gungraun-runner {version}", file=sys.stderr)
        command = ["cargo", "install", "--quiet", "--locked", "gungraun-runner"]
        subprocess.run([*command, "--version", f"={version}", "--root", str(folder)], check=True)
    return program


def output(*command: str, remedy: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError:
        raise NotComparableError(f"{command[0]} is missing: {remedy}") from None


def git(*arguments: str) -> str:
    return git_bytes(*arguments).decode()


def git_bytes(*arguments: str) -> bytes:
    ended = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if ended.returncode != 0:
        raise NotComparableError(f"git {arguments[0]}: {ended.stderr.decode().strip()}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
