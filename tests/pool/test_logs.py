"""What workers print and adapters log reaches the host's loggers, with level, name and ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

import snakepit
from snakepit import WorkerDied

from .conftest import Gates, Host, until

ADAPTER = "pool.logging_adapters:Logs"


class Heard(logging.Handler):
    """All records of one logger and those below it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.logger = logging.getLogger(name)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __enter__(self) -> Self:
        self.before = self.logger.level
        self.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)
        self.logger.setLevel(self.before)

    def text(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    def one(self, ending: str) -> Any:
        """The record whose message ends so, once it is here."""

        def find() -> logging.LogRecord | None:
            found = (it for it in list(self.records) if it.getMessage().endswith(ending))
            return next(found, None)

        return until(find, f"{ending!r} is logged")


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    with Heard("snakepit.worker") as heard:
        heard.logger.setLevel(logging.DEBUG)
        yield heard


@pytest.fixture(scope="module")
def logging_pool(heard: Heard) -> Iterator[Any]:
    """A worker of the native end, all of whose records are wanted."""
    options: Any = {"size": 1, "name": "logs", "worker_output": "log", "start_timeout": 60}
    with snakepit.Pool(ADAPTER, grace=0.3, **options) as pool:
        pool.await_ready(60)
        yield pool


@pytest.mark.parametrize(
    "level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 25]
)
def test_a_record_keeps_its_level_and_its_logger(
    logging_pool: Any, heard: Heard, level: int
) -> None:
    logging_pool.execute("say", {"level": level, "text": f"at {level}", "logger": "a.b"})
    record = heard.one(f"at {level}")
    assert (record.levelno, record.name) == (level, "snakepit.worker.a.b")
    assert record.getMessage() == f"[logs/0] at {level}"
    assert (record.snakepit_worker, record.snakepit_logger) == ("logs/0", "a.b")
    assert record.funcName == "say"
    assert record.filename == "logging_adapters.py"
    assert "a.b" not in logging.Logger.manager.loggerDict, "a name of a worker's is kept for ever"


def test_a_record_tells_of_its_call(logging_pool: Any, heard: Heard) -> None:
    outside = heard.one("initialized")
    assert outside.snakepit_call is None
    logging_pool.execute("in_a_trace", session="user_42")
    record = heard.one("traced")
    assert record.snakepit_session == "user_42"
    assert record.snakepit_call > 0
    assert record.snakepit_correlation_id == "c-1"
    assert record.snakepit_trace_id == "0af7651916cd43dd8448eb211c80319c"


def test_threads_and_coroutines_and_streams_log_as_well(logging_pool: Any, heard: Heard) -> None:
    logging_pool.execute("in_a_thread")
    assert heard.one("from a thread").threadName == "helper"
    logging_pool.execute("in_a_coroutine", session="s")
    assert heard.one("from a coroutine").snakepit_session == "s"
    assert list(logging_pool.execute_stream("steps", {"upto": 2}, session="s")) == [0, 1]
    assert heard.one("step 1").snakepit_session == "s"


def test_a_traceback_comes_with_its_record(logging_pool: Any, heard: Heard) -> None:
    logging_pool.execute("fail_and_go_on")
    record = heard.one("ValueError: the reason")
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("[logs/0] it failed\nTraceback (most recent call last):")


def test_lines_and_records_are_told_apart(logging_pool: Any, heard: Heard) -> None:
    logging_pool.execute("print_and_log")
    line = heard.one("without an end")
    record = heard.one("and a record")
    assert (line.name, line.levelno, line.snakepit_logger) == (
        "snakepit.worker",
        logging.WARNING,
        None,
    )
    assert record.snakepit_logger == "my_app.model"
    assert heard.one("a line").stream == "stderr"


def test_nothing_in_a_message_controls_a_terminal(logging_pool: Any, heard: Heard) -> None:
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07\u202egnp.exe\x00\x9b2J é\nnext\ud800|"
    logging_pool.execute("say", {"level": 30, "text": text.replace("\ud800", "")})
    assert heard.one("next|").getMessage() == "[logs/0] red gnp.exe é\nnext|"
    logging_pool.execute("say", {"level": 30, "text": "x" * 100_000 + "end"})
    cut = heard.one("characters more)").getMessage()
    assert 12_000 < len(cut) < 13_000


def test_records_arrive_while_their_tool_runs(
    logging_pool: Any, heard: Heard, gates: Gates
) -> None:
    call = logging_pool.submit(
        "long_while", {"started": gates("started"), "release": gates("release")}
    )
    gates.wait("started")
    heard.one("still at it")
    assert not call.done()
    gates.open("release")
    call.result(30)


def test_a_flood_costs_lines_and_is_told_once(logging_pool: Any, heard: Heard) -> None:
    before = logging_pool.metrics().lines_dropped
    logging_pool.execute("flood", {"lines": 20_000})
    assert heard.one("after the flood").levelno == logging.ERROR
    told = heard.one("lines dropped: too many at once")

    def accounted() -> int:
        dropped: int = logging_pool.metrics().lines_dropped - before
        return dropped + sum("flood " in text for text in heard.text())

    until(lambda: accounted() >= 20_000, "each line is passed on or counted")
    assert logging_pool.metrics().lines_dropped > before
    assert "… " in told.getMessage()


def test_a_dead_workers_last_record_is_in_the_log_and_in_the_error(
    make_pool: Callable[..., Any], heard: Heard
) -> None:
    pool = make_pool(ADAPTER, size=1, worker_output="log")
    with pytest.raises(WorkerDied) as caught:
        pool.execute("die_loudly")
    assert "CRITICAL my_app.model: last words" in (caught.value.stderr or "")
    assert heard.one("last words").levelno == logging.CRITICAL
    pool.execute("redirected")
    heard.one("in spite of it")


def test_both_ends_of_the_line_log(
    make_pool: Callable[..., Any], heard: Heard, own_line: str
) -> None:
    pool = make_pool(ADAPTER, size=1, name=f"by-{own_line}", worker_output="log", line=own_line)
    pool.execute("say", {"level": 20, "text": f"by {own_line}"}, session="s")
    record = heard.one(f"by {own_line}")
    assert (record.levelno, record.snakepit_session) == (logging.INFO, "s")
    assert record.snakepit_call > 0
    # The adapter's own wish counts, and the records still come this way.
    pool.execute("configured")
    assert heard.one("loud enough").levelno == logging.ERROR
    assert not any("too quiet" in text for text in heard.text())


def test_the_hosts_level_reaches_the_worker(make_pool: Callable[..., Any]) -> None:
    with Heard("snakepit.worker") as errors:
        errors.logger.setLevel(logging.ERROR)
        pool = make_pool(ADAPTER, size=1, worker_output="log")
        for level in (logging.INFO, logging.WARNING, logging.ERROR):
            pool.execute("say", {"level": level, "text": f"at {level}"})
        errors.one(f"at {logging.ERROR}")
        assert len(errors.records) == 1


QUIET = """
import logging, sys
import snakepit

if __name__ == "__main__":
    {setup}
    with snakepit.Pool("pool.adapters:Basic", size=1, name="p", worker_output="drop") as pool:
        pool.await_ready(60)
"""


def test_a_program_that_sets_no_logging_up_hears_nothing(host: Host) -> None:
    code, out, err = host.run_script(QUIET.format(setup="pass"))
    assert (code, out, err) == (0, "", "")


def test_the_core_logs_by_category(host: Host) -> None:
    setup = 'logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")'
    code, _, err = host.run_script(QUIET.format(setup=setup))
    assert code == 0
    lines = err.splitlines()
    assert any(
        line.startswith("snakepit.startup INFO worker is ready worker=p/0 generation=1 pid=")
        for line in lines
    ), err
    assert any(line.startswith("snakepit.shutdown INFO worker is gone") for line in lines), err


STARTED = """
import logging
import time
import snakepit

class Slow(logging.StreamHandler):
    def emit(self, record):
        time.sleep(0.2)  # What comes last is still waiting when the pools are closed.
        super().emit(record)

if __name__ == "__main__":
    logging.basicConfig(format="%(name)s %(message)s", handlers=[Slow()])
    snakepit.start({"adapter": "pool.adapters:Basic", "size": 1, **{keys}})
    snakepit.await_ready()
    snakepit.stop()
"""


@pytest.mark.parametrize(
    ("keys", "wanted", "unwanted"),
    [
        ({"log_level": "info"}, ["snakepit.startup", "snakepit.shutdown"], []),
        ({"log_level": "info", "log_categories": ["startup"]}, ["snakepit.startup"], ["shutdown"]),
        ({"log_level": "none"}, [], ["snakepit"]),
    ],
    ids=["all", "one", "none"],
)
def test_levels_and_categories_choose(
    host: Host, keys: dict[str, Any], wanted: list[str], unwanted: list[str]
) -> None:
    code, _, err = host.run_script(STARTED.replace("{keys}", repr(keys)))
    assert code == 0, err
    for name in wanted:
        assert name in err
    for name in unwanted:
        assert name not in err
