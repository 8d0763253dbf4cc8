"""One call from a shell: its result, its errors, and nothing left however it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command, Host

BASIC = "cli.adapters:Basic"


def test_a_result_is_json_and_the_workers_words_are_not_in_it(command: Command) -> None:
    status, out, err = command("run", BASIC, "add", '{"a": 2, "b": 40}')
    assert (status, out) == (0, "42\n")
    assert err == "[run/0] adding\n"


def test_a_session_and_the_adapters_arguments(command: Command) -> None:
    more = ["--session", "user_7", "--adapter-args", '{"greeting": "good day"}', "--timeout", "1m"]
    assert command("run", BASIC, "greet", *more) == (0, '"good day, user_7"\n', "")


def test_chunks_are_lines(command: Command) -> None:
    status, out, _ = command("run", BASIC, "count", '{"stop": 3}', "--stream")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [{"i": 0}, {"i": 1}, {"i": 2}]


def test_values_that_json_has_not(command: Command) -> None:
    status, out, _ = command("run", BASIC, "odd")
    assert status == 0
    assert json.loads(out) == {
        "day": "2020-02-29",
        "bytes": "AP8=",
        "nan": None,
        "array": [[0, 1], [2, 3]],
        "scalar": 1.5,
        "decimal": "1.10",
        "3": None,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([BASIC, "ad"], ["ad: no such tool; did you mean add?"]),
        ([BASIC, "count"], ["count streams its results", "  add --stream"]),
        ([BASIC, "add", "--stream"], ["add is no streaming tool", "  leave out --stream"]),
        ([BASIC, "add", '{"a": "x"}'], ['args["a"]: expected an integer']),
        ([BASIC, "fail"], ["ValueError: no such luck", "Traceback", "in fail"]),
        (["cli.adaptors:Basic", "add"], ["no module named 'cli.adaptors'"]),
        (["cli.adapters:Basics", "add"], ["has no class 'Basics'"]),
        (["cli.adapters", "add"], ['has not the form "module:Class"']),
        ([BASIC, "add", "--python", "/nowhere"], ["there is no interpreter /nowhere"]),
        ([BASIC, "hold", '{"started": "x"}', "--timeout", "200ms"], ["no answer within 200ms"]),
    ],
)
def test_what_cannot_be_done_is_told(
    command: Command, arguments: list[str], said: list[str]
) -> None:
    status, out, err = command("run", *arguments)
    assert (status, out) == (1, "")
    assert [part for part in said if part not in err] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([BASIC, "add", '{"a": 1,, }'], "no JSON at column 9"),
        ([BASIC, "add", "--adapter-args", "[]"], "for --adapter-args: an object"),
        ([BASIC, "add", "--timeout", "soon"], "for --timeout: 'soon' is no duration"),
    ],
)
def test_what_cannot_be_read_starts_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr("snakepit.Pool", None)
    status, out, err = command("run", *arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_the_module_is_found_in_the_working_directory(host: Host, tmp_path: Path) -> None:
    host.write(
        "from snakepit_bridge import BaseAdapter, tool\n"
        "class Mine(BaseAdapter):\n"
        "    @tool\n"
        "    def who(self) -> str:\n"
        "        return __name__\n",
        "mine.py",
    )
    # As the installed command is started: no working directory in sys.path.
    program = "import sys; from snakepit.__main__ import main; sys.exit(main())"
    status, out, err = host.run("-P", "-c", program, "run", "mine:Mine", "who")
    assert (status, out, err) == (0, '"mine"\n', "")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_signal_leaves_nothing(
    host: Host, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    started = tmp_path / "started"
    process = held(host, started)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert "Traceback" not in err


def held(host: Host, started: Path) -> Any:
    """A command whose tool does not return; what it started, the fixture looks for."""
    from pool.conftest import until

    arguments = json.dumps({"started": str(started)})
    process = host.start("-m", "snakepit", "run", BASIC, "hold", arguments)
    until(started.exists, "the tool runs", seconds=60)
    return process


def test_whoever_has_seen_enough_of_a_stream_closes_it(host: Host) -> None:
    process = host.start("-m", "snakepit", "run", BASIC, "count", '{"stop": 10000000}', "--stream")
    assert process.stdout.readline() == '{"i": 0}\n'
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_at_a_terminal_a_result_is_spread_out(host: Host) -> None:
    script = host.write(
        "import os, pty, sys\n"
        "read, wrote = pty.openpty()\n"
        "import subprocess\n"
        f"command = [sys.executable, '-m', 'snakepit', 'run', {BASIC!r}, 'odd']\n"
        "ended = subprocess.run(command, stdout=wrote)\n"
        "print(os.read(read, 4096).decode().replace('\\r', ''), end='')\n"
    )
    status, out, _ = host.run(script)
    assert status == 0
    assert out.startswith('{\n  "day": "2020-02-29",\n')
