"""Adapters that log."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

from snakepit_bridge import BaseAdapter, configure_logging, telemetry, tool
from snakepit_bridge._context import trace_id

log = logging.getLogger("my_app.model")


class Logs(BaseAdapter):
    def initialize(self) -> None:
        log.info("initialized")

    @tool
    def say(self, level: int, text: str, logger: str = "my_app.model") -> None:
        logging.getLogger(logger).log(level, text)

    @tool
    def in_a_trace(self) -> None:
        token = trace_id.set("0af7651916cd43dd8448eb211c80319c")
        with telemetry.span("work", correlation_id="c-1"):
            log.warning("traced")
        trace_id.reset(token)

    @tool
    def fail_and_go_on(self) -> None:
        try:
            raise ValueError("the reason")
        except ValueError:
            log.exception("it failed")

    @tool
    def print_and_log(self) -> None:
        sys.stderr.write("without an end")
        sys.stderr.flush()
        log.warning("and a record")
        print("a line", file=sys.stderr)

    @tool
    def flood(self, lines: int) -> None:
        for number in range(lines):
            log.info("flood %d", number)
        log.error("after the flood")

    @tool
    def long_while(self, started: str, release: str) -> None:
        log.warning("still at it")
        open(started, "x").close()
        while not os.path.exists(release):
            time.sleep(0.005)

    @tool
    async def in_a_coroutine(self) -> None:
        log.warning("from a coroutine")

    @tool
    def in_a_thread(self) -> None:
        thread = threading.Thread(target=log.warning, args=("from a thread",), name="helper")
        thread.start()
        thread.join()

    @tool
    def redirected(self) -> None:
        """An adapter that sends its standard error elsewhere."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        log.warning("in spite of it")

    @tool
    def configured(self) -> None:
        configure_logging()
        log.warning("too quiet for the level of SNAKEPIT_LOG_LEVEL")
        log.error("loud enough")

    @tool(supports_streaming=True)
    def steps(self, upto: int) -> Iterator[int]:
        for number in range(upto):
            log.warning("step %d", number)
            yield number

    @tool
    def die_loudly(self) -> None:
        log.critical("last words")
        os._exit(3)
