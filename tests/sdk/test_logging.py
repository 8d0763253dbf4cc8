"""``configure_logging`` and ``get_logger``, each in a process of its own: logging is global."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import snakepit_bridge

PARENT = str(Path(snakepit_bridge.__file__).parent.parent)
SAY = """
import logging
from snakepit_bridge import configure_logging, get_logger, telemetry
configure_logging()
log = get_logger("adapter")
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(log, level)(level)
logging.getLogger("urllib3.pool").info("urllib3")
"""


def said(program: str, level: str | None) -> list[str]:
    """The lines on standard error."""
    environment = {"PYTHONPATH": PARENT}
    if level is not None:
        environment["SNAKEPIT_LOG_LEVEL"] = level
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (None, ["error", "critical"]),
        ("nonsense", ["error", "critical"]),
        ("WARNING", ["warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("none", []),
    ],
)
def test_the_level_is_that_of_the_environment(level: str | None, heard: list[str]) -> None:
    lines = said(SAY, level)
    assert [line.rpartition(" ")[2] for line in lines] == heard
    assert all("[MainThread] - snakepit.adapter - " in line for line in lines)


def test_each_line_shows_the_correlation_id() -> None:
    program = (
        SAY
        + """
with telemetry.span("work", correlation_id="c-1"):
    log.error("inside")
"""
    )
    lines = said(program, None)
    assert lines[0].endswith("- ERROR - [corr=-] error")
    assert lines[-1].endswith("- ERROR - [corr=c-1] inside")


def test_an_adapter_with_handlers_of_its_own_keeps_them() -> None:
    program = """
import logging, sys
from snakepit_bridge import configure_logging, get_logger
logging.basicConfig(format="own %(message)s", stream=sys.stderr)
configure_logging()
get_logger("a").error("kept")
configure_logging(force=True)
get_logger("a").error("replaced")
"""
    kept, replaced = said(program, None)
    assert kept == "own kept"
    assert replaced.endswith("[corr=-] replaced")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("snakepit.x", "snakepit.x"),
        ("snakepit_bridge.telemetry.hub", "snakepit.bridge.telemetry.hub"),
        ("my_app.adapter", "snakepit.my_app.adapter"),
    ],
)
def test_loggers_are_below_snakepit(asked: str, given: str) -> None:
    assert snakepit_bridge.get_logger(asked).name == given
