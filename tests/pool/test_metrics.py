"""What is measured of calls: the numbers, the text that Prometheus reads, and the port for it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

import snakepit
from snakepit import ConfigError, PoolClosed, ToolNotFound

from .conftest import BASIC, TESTS


@pytest.fixture(scope="module")
def used() -> Iterator[Any]:
    """A pool that has run some calls, with one outcome of most kinds."""
    with snakepit.Pool(BASIC, size=2, name="used", start_timeout=60) as pool:
        pool.await_ready(60)
        for _ in range(5):
            pool.execute("ping")
        with pytest.raises(ValueError, match="no"):
            pool.execute("fail", {"kind": "ValueError"})
        with pytest.raises(ToolNotFound):
            pool.execute("nonsense_that_nobody_declares")
        assert list(pool.execute_stream("count", {"upto": 3})) == [0, 1, 2]
        pool.session("s").execute("ping")
        yield pool


def series(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every value by its name and labels, as Prometheus' own parser reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


def fetch(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    read = answer.status, answer.headers["Content-Type"], answer.read().decode()
    connection.close()
    return read


def test_the_numbers_agree_with_the_counters(used: Any) -> None:
    now = used.metrics()
    assert now.pool == "used"
    assert set(now.tools) == {"ping", "fail", "count", "(other)"}
    assert now.tools["ping"].ended == {"ok": 6}
    assert now.tools["fail"].ended == {"remote": 1}
    assert now.tools["(other)"].ended == {"tool_not_found": 1}
    assert (now.streams, now.streaming, now.workers["ready"]) == (1, 0, 2)
    ended = [tool.ended for tool in now.tools.values()]
    assert sum(each.get("ok", 0) for each in ended) == used.stats().completed == 7
    assert sum(sum(each.values()) for each in ended) == used.stats().requests
    ping = now.tools["ping"]
    assert ping.duration.count == ping.execution.count == ping.queue_wait.count == 6
    assert ping.execution.sum + ping.queue_wait.sum == pytest.approx(ping.duration.sum)
    assert ping.duration.buckets[-1] == (float("inf"), 6)


def test_prometheus_reads_the_text(used: Any) -> None:
    values = series(snakepit.metrics().prometheus_text())
    pool = ("pool", "used")
    ok = (("outcome", "ok"), pool, ("tool", "ping"))
    assert values["snakepit_calls_total", ok] == 6
    assert values["snakepit_call_duration_seconds_count", (pool, ("tool", "ping"))] == 6
    assert values["snakepit_workers", (pool, ("state", "ready"))] == 2
    assert values["snakepit_sessions", (pool,)] == 1
    assert values["snakepit_shared_memory_fallbacks_total", (pool,)] == 0
    assert {label for _, labels in values for label, _ in labels} <= {
        "pool",
        "tool",
        "outcome",
        "reason",
        "state",
        "le",
    }, "a series must not end with a process"
    for family in read_text(snakepit.metrics().prometheus_text()):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram"), family.name


def test_its_histograms_are_whole(used: Any) -> None:
    """What promtool checks: buckets grow, and the last one has all."""
    for family in read_openmetrics(snakepit.metrics().openmetrics_text()):
        if family.type != "histogram":
            continue
        by_labels: dict[Any, list[float]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                labels = {**sample.labels}
                float(labels.pop("le"))
                by_labels.setdefault(tuple(labels.items()), []).append(sample.value)
        assert by_labels
        for counts in by_labels.values():
            assert counts == sorted(counts)


def test_a_port_answers_and_is_free_again(used: Any) -> None:
    with snakepit.serve_metrics(0) as server:
        status, kind, text = fetch(server.port)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert ("snakepit_calls_running", (("pool", "used"),)) in series(text)
        status, kind, text = fetch(server.port, Accept="application/openmetrics-text")
        assert kind.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")
        assert fetch(server.port, "/")[0] == 404
        assert fetch(server.port, Host="evil.example:9464")[0] == 403
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"
    with socket.create_server(("127.0.0.1", server.port)):
        pass
    server.close()


def test_clients_that_say_nothing_hold_up_nobody(used: Any) -> None:
    with snakepit.serve_metrics(0) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        assert fetch(server.port)[0] == 200
        for each in silent:
            each.close()


def test_a_port_that_is_taken_is_told_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"metrics_port: port {port} .* in use") as caught:
            snakepit.serve_metrics(port)
        assert caught.value.field == "metrics_port"
    with pytest.raises(ConfigError, match="at most 65535"):
        snakepit.serve_metrics(65536)


def test_the_setting_is_for_as_long_as_pools_are_started() -> None:
    # A name of its own: pools of one name are added, and other tests have left theirs open.
    pool = {"name": "measured", "adapter": BASIC, "size": 1}
    snakepit.start({"pools": [pool], "metrics_port": 0})
    try:
        server = snakepit.metrics_server()
        assert server is not None
        assert snakepit.execute("ping") == "pong"
        _, _, text = fetch(server.port)
        assert 'snakepit_calls_total{pool="measured",tool="ping",outcome="ok"} 1\n' in text
    finally:
        snakepit.stop()
    assert snakepit.metrics_server() is None
    with pytest.raises(OSError, match="refused"):
        fetch(server.port)


def test_an_inline_pool_is_measured_as_well() -> None:
    with snakepit.Pool(BASIC, size=1, inline=True, name="inline") as pool:
        pool.execute("ping")
        with pytest.raises(ValueError, match="no"):
            pool.execute("fail", {"kind": "ValueError"})
        with pytest.raises(ToolNotFound):
            pool.execute("nonsense")
        with pytest.raises(snakepit.EncodeError):
            pool.execute("unspeakable")
        assert list(pool.execute_stream("count", {"upto": 2})) == [0, 1]
        stream = pool.execute_stream("count", {"upto": 5})
        next(stream)
        assert pool.metrics().streaming == 1
        stream.close()
        now, stats = pool.metrics(), pool.stats()
        assert now.stats == stats
        assert now.tools["ping"].ended == {"ok": 1}
        assert now.tools["count"].ended == {"ok": 1, "cancelled": 1}
        assert now.tools["unspeakable"].ended == {"encode_result": 1}
        assert now.tools["(other)"].ended == {"tool_not_found": 1}
        assert (now.streams, now.streaming, now.workers) == (2, 0, {"ready": 1})
        ended = sum(sum(tool.ended.values()) for tool in now.tools.values())
        assert stats.requests == ended == 6
    with pytest.raises(PoolClosed):
        pool.execute("ping")
    assert pool.metrics().rejected == {"pool_closed": 1}


def test_pools_of_one_name_are_one_series() -> None:
    with (
        snakepit.Pool(BASIC, size=1, inline=True, name="twin") as one,
        snakepit.Pool(BASIC, size=1, inline=True, name="twin") as other,
    ):
        one.execute("ping")
        other.execute("ping")
        text = snakepit.metrics().prometheus_text()
        line = 'snakepit_calls_total{pool="twin",tool="ping",outcome="ok"} 2'
        assert text.splitlines().count(line) == 1


FORKS = """
import os, signal, sys, threading, urllib.request
import snakepit

if __name__ == "__main__":
    server = snakepit.serve_metrics(0)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        server.close()  # Not its own: nothing happens.
        os.write(write, b"x")
        signal.pause()
    assert os.read(read, 1) == b"x"
    with urllib.request.urlopen(server.url) as answer:
        assert answer.status == 200
    server.close()
    again = snakepit.serve_metrics(server.port)  # The child does not hold the port.
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("ended with an open server")
"""


def test_a_fork_has_no_part_in_it(tmp_path: Any) -> None:
    program = tmp_path / "forks.py"
    program.write_text(FORKS)
    ended = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "ended with an open server\n"), ended.stderr
