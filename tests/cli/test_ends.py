"""Every way in which a command ends: its status, what it says, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from snakepit import __main__, __version__
from snakepit._cli import app, output
from snakepit._cli.outcome import Failed, Status
from snakepit._cli.signals import Terminated
from snakepit.errors import StartError

from .conftest import Command


def test_the_version(command: Command) -> None:
    assert command("--version") == (0, f"snakepit {__version__}\n", "")


def test_help_names_every_command(command: Command) -> None:
    status, told, err = command("--help")
    assert (status, err) == (0, "")
    assert {line.split()[0] for line in told.splitlines() if line[:2] == "  " and line[2:3]} >= {
        *app.COMMANDS
    }
    assert "exit status: 0 done" in told
    assert "\033" not in told


def test_no_command_is_a_wrong_command_line(command: Command) -> None:
    status, out, err = command()
    assert (status, out) == (2, "")
    assert err.startswith("Usage: snakepit")


@pytest.mark.parametrize(
    ("arguments", "said", "remedy"),
    [
        (["cleanse"], "No such command 'cleanse'", "snakepit --help"),
        (["config", "--jso"], "--json", "snakepit config --help"),
        (["config", "surplus"], "surplus", "snakepit config --help"),
        (["gen", "adaptor", "x"], "adapter", "snakepit gen --help"),
        (["run", "m:C"], "TOOL", "snakepit run --help"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line(
    command: Command, arguments: list[str], said: str, remedy: str
) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    first, *rest = err.splitlines()
    assert first.startswith("snakepit: ")
    assert said in first
    assert rest == [f"  {remedy}"]


@pytest.mark.parametrize(
    ("raised", "status", "err"),
    [
        (Failed("it broke", "mend it"), 1, "snakepit: it broke\n  mend it\n"),
        (Failed("nobody there", status=Status.NO_HOST), 3, "snakepit: nobody there\n"),
        (StartError("no worker"), 1, "snakepit: no worker\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "snakepit: [Errno 2] No such file: 'x'\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (Terminated(), 143, ""),
        (typer.Exit(7), 7, ""),
    ],
)
def test_what_a_command_raises_becomes_a_status(
    command: Command, monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int, err: str
) -> None:
    def explain(*_: Any) -> Any:
        raise raised

    monkeypatch.setattr("snakepit._settings.settings", explain)
    assert command("config") == (status, "", err)


def test_a_mistake_of_ours_is_not_hidden(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(*_: Any) -> Any:
        raise LookupError("a bug")

    monkeypatch.setattr("snakepit._settings.settings", explain)
    with pytest.raises(LookupError):
        command("config")


def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "typer" or name.startswith("snakepit._cli"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("snakepit._cli")
    monkeypatch.setitem(sys.modules, "typer", None)
    assert __main__.main(["--version"]) == 1
    said = capsys.readouterr().err
    assert "typer is not installed" in said
    assert said.splitlines()[1] == f"  {sys.executable} -m pip install typer rich"


def test_a_host_does_not_pay_for_the_command_line() -> None:
    program = "import sys, snakepit; print({'typer', 'rich', 'snakepit._cli'} & {*sys.modules})"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"


def test_help_loads_neither_rich_nor_what_commands_need() -> None:
    program = (
        "import sys; from snakepit.__main__ import main; main(['--help']); "
        "print({'rich', 'pydantic', 'json', 'asyncio', 'tomllib'} & {*sys.modules})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--explain"]])
def test_whoever_closes_the_pipe_hears_nothing(arguments: list[str]) -> None:
    Path("snakepit.toml").write_text('adapter = "m:C"\n')
    read, wrote = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "snakepit", *arguments],
        stdout=wrote,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(wrote)
    assert (ended.returncode, ended.stderr) == (0, b"")


class Terminal:
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class File(Terminal):
    encoding = "latin-1"

    def isatty(self) -> bool:
        return False


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal: Any = Terminal()
    file: Any = File()
    monkeypatch.setenv("TERM", "xterm")
    assert output.coloured(terminal)
    assert not output.coloured(file)
    assert output.mark(True, terminal) == "\033[32m✓\033[0m"
    assert [output.mark(it, file) for it in (True, False, None)] == ["ok", "FAIL", "--"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert output.coloured(file)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.coloured(terminal)
    assert output.console(terminal).color_system is None
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.coloured(terminal)


def test_a_table_has_no_padding_at_its_end() -> None:
    rows = [["a", "long value", "x"], ["longer", "b", ""]]
    assert output.table(["A", "B", "C"], rows) == (
        "A       B           C\na       long value  x\nlonger  b"
    )
