"""What `docs/command-line.md` says is so: its session, its tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snakepit._cli import app
from snakepit._cli.outcome import Status

from .test_doctor import EVERYWHERE, SECURITY

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "repo"))
from markdown import blocks, rows  # noqa: E402

PAGE = (ROOT / "docs/command-line.md").read_text()


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, by the words that call it."""
    for name in app.COMMANDS:
        made = app.command(name)
        if inner := getattr(made, "commands", None):
            yield from ((f"snakepit {name} {word}", each) for word, each in inner.items())
        else:
            yield f"snakepit {name}", made


COMMANDS = dict(commands())


def test_every_command_is_listed_with_what_it_does() -> None:
    listed = {
        re.sub(r"\[`(.*)`\]\(.*\)", r"\1", name): told for name, told in rows(PAGE, "command")
    }
    assert listed == {name: made.get_short_help_str(200) for name, made in COMMANDS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_told_as_help_tells_it(name: str) -> None:
    assert f"\n## {name}\n" in PAGE
    told = {option.strip("`"): meaning for option, meaning in rows(PAGE, f"`{name}`")}
    has = {}
    for parameter in COMMANDS[name].params:
        if "--help" not in parameter.opts:
            argument = parameter.param_type_name == "argument"
            has[parameter.metavar if argument else parameter.opts[0]] = parameter.help
    assert told == has


def test_the_statuses_are_those() -> None:
    told = {int(status) for status, _ in rows(PAGE.replace(r"\|", "or"), "status")}
    assert told == {*Status}


def test_the_checks_are_those() -> None:
    first, second = PAGE.split("And with `--security`")
    names = [{name.strip("`") for name, _ in rows(part, "check")} for part in (first, second)]
    assert names == [EVERYWHERE | {"/dev/shm", "adapter"}, SECURITY]


def test_the_session_goes_as_shown(tmp_path: Path) -> None:
    (session,) = [block.text for block in blocks(PAGE) if block.language == "console"]
    lines = session.splitlines()
    script = "\n".join(
        f"printf '%s\\n' {_quoted(line)}; {line[2:]}" for line in lines if line.startswith("$ ")
    )
    ended = subprocess.run(
        ["bash", "-c", f'snakepit() {{ {_quoted(sys.executable)} -m snakepit "$@"; }}\n{script}'],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
        env={name: it for name, it in os.environ.items() if not name.startswith("SNAKEPIT_")},
    )
    assert ended.stdout == session


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
