"""``python -m snakepit.conformance``: what it prints and how it exits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the kit serves the line through grpcio")

from snakepit.conformance import run
from snakepit.conformance.host import until

BROKEN = [sys.executable, str(Path(__file__).with_name("broken_worker.py"))]


KIT = [sys.executable, "-W", "error", "-m", "snakepit.conformance"]
NO_GRPC = """
import runpy, sys
sys.modules["grpc"] = None
sys.argv[0] = "kit"
runpy.run_module("snakepit.conformance", run_name="__main__")
"""


def kit(*arguments: str, command: list[str] = KIT) -> Any:
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def test_a_worker_that_is_well() -> None:
    ended = kit("--select", "call", "--select", "probe", "--", *BROKEN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    call, probe, summary = ended.stdout.splitlines()
    assert call.startswith("✓ call: ")
    assert probe.startswith("– probe: ")
    assert "Hello.control is false" in probe
    assert summary == "1 passed, 0 failed, 1 skipped"


def test_a_worker_that_is_not() -> None:
    ended = kit("--select", "drain", "--", *BROKEN, "drain-code")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    title, expected, got, see, summary = ended.stdout.splitlines()
    assert title.startswith("✗ drain: ")
    assert expected.strip() == "expected exit code after Drain: 0"
    assert got.strip() == "got 3"
    assert see.strip() == "see docs/protocol.md#drain"
    assert summary == "0 passed, 1 failed, 0 skipped"


def test_json_is_for_programs() -> None:
    ended = kit("--json", "--select", "call", "--", *BROKEN)
    report = json.loads(ended.stdout)
    assert report["passed"] is True
    assert report["stopped"] == ""
    (finding,) = report["findings"]
    assert (finding["name"], finding["outcome"]) == ("call", "passed")


def test_the_list_names_every_check() -> None:
    ended = kit("--list")
    assert ended.returncode == 0
    names = [line.split()[0] for line in ended.stdout.splitlines()]
    assert names[0] == "hello"
    assert names[-1] == "nothing-left"


def test_the_list_heeds_the_other_options() -> None:
    ended = kit("--list", "--select", "drain*,hello", "--json")
    assert [check["name"] for check in json.loads(ended.stdout)] == [
        "hello",
        "drain-at-once",
        "drain",
        "drain-bulk",
    ]
    assert kit("--list", "--select", "zork").returncode == 2


def test_what_needs_no_worker_needs_no_grpc() -> None:
    command = [sys.executable, "-c", NO_GRPC]
    assert "nothing-left" in kit("--list", command=command).stdout
    ended = kit("--select", "helo", "--", *BROKEN, command=command)
    assert "did you mean hello?" in ended.stderr
    ended = kit("--", *BROKEN, command=command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'snakepit-pool[conformance]'" in ended.stderr


def test_the_help_names_the_timeout_that_is_in_force() -> None:
    assert "(default: 10)" in kit("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "usage:"),
        (("--", "no-such-program"), "there is no program no-such-program"),
        (("--select", "helo", "--", *BROKEN), "did you mean hello?"),
        (("--select", "zork*", "--", *BROKEN), "--list names them"),
        (("--", "node worker.js"), "pass its words one by one: 'node', 'worker.js'"),
        (("--", "/"), "/ is a folder"),
        *(
            (("--timeout", wrong, "--", *BROKEN), "argument --timeout: a number of seconds above 0")
            for wrong in ("soon", "0", "-1", "nan", "inf")
        ),
    ],
)
def test_what_cannot_be_judged_exits_with_2(arguments: tuple[str, ...], said: str) -> None:
    ended = kit(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_only_skipped_checks_judge_nothing() -> None:
    ended = kit("--select", "words", "--", *BROKEN)
    assert ended.stdout.splitlines()[-1] == "0 passed, 0 failed, 1 skipped"
    assert ended.returncode == 2


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_timeout_is_finite_and_above_0(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout: a finite number"):
        run(BROKEN, timeout=timeout)


def test_a_machine_that_starts_no_worker_is_not_the_workers_fault() -> None:
    ended = kit("--timeout", "0.00001", "--json", "--", *BROKEN)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    assert (report["passed"], report["findings"]) == (False, [])
    assert "no worker could be started within" in report["stopped"]


def test_a_command_is_no_text() -> None:
    with pytest.raises(ValueError, match=r"\['node', 'worker.js'\], not 'node worker.js'"):
        run("node worker.js")


@pytest.mark.parametrize("program", ["/bin/true", "/bin/cat"])
def test_a_program_that_is_no_worker_is_told_so_once(program: str) -> None:
    report = run([program], timeout=5)
    assert not report.passed
    assert [finding.name for finding in report.findings] == ["hello", "nothing-left"]
    assert [finding.name for finding in report.failed] == ["hello"]
    assert report.stopped in report.summary()
    assert "no worker" in report.stopped


@pytest.mark.parametrize("check", ["no-host", "refused"])
def test_an_exit_alone_keeps_no_rule(check: str) -> None:
    assert [f.name for f in run(["/bin/true"], select=[check], timeout=20).failed] == [check]


@pytest.mark.parametrize("arguments", [("--list",), ("--", *BROKEN)], ids=["list", "run"])
def test_a_reader_that_goes_away_gets_no_traceback(arguments: tuple[str, ...]) -> None:
    kit = subprocess.Popen(
        [*KIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert kit.stdout is not None
    kit.stdout.close()
    _, said = kit.communicate(timeout=100)
    assert (kit.returncode, said) == (2, "")


def test_a_full_disk_is_told_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*KIT, "--list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100
        )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("the report cannot be written: ")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_interrupt_keeps_what_was_found(options: tuple[str, ...], tmp_path: Path) -> None:
    # The second check hangs, since its worker does; that it has begun is what the file says.
    begun = tmp_path / "begun"
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, runpy, sys, time\n"
        f"if os.path.exists({str(begun)!r} + '1'):\n"
        f"    open({str(begun)!r} + '2', 'w').close()\n"
        "    time.sleep(60)\n"
        f"open({str(begun)!r} + '1', 'w').close()\n"
        f"sys.argv = [{BROKEN[1]!r}]\n"
        f"runpy.run_path({BROKEN[1]!r}, run_name='__main__')\n"
    )
    chosen = [*options, "--select", "hello,ready", "--timeout", "50"]
    kit = subprocess.Popen(
        [*KIT, *chosen, "--", sys.executable, str(worker)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert until(Path(f"{begun}2").exists, 50)
    kit.send_signal(signal.SIGINT)
    out, said = kit.communicate(timeout=100)
    assert (kit.returncode, said) == (130, "")
    if options:
        report = json.loads(out)
        assert [finding["name"] for finding in report["findings"]] == ["hello"]
        assert (report["passed"], report["stopped"]) == (False, "interrupted")
    else:
        assert out.startswith("✓ hello: ")
        assert out.endswith("1 passed, 0 failed, 0 skipped; stopped: interrupted\n")


def test_what_a_worker_printed_is_shown() -> None:
    report = run([sys.executable, "-c", "import sys; sys.exit('no such model')"], select=["call"])
    assert "printed: no such model" in str(report)
