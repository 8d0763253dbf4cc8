"""The original's names: each becomes what the table of the guide says, or is refused with why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snakepit import ConfigError, settings
from snakepit._settings._original import NAMES

from .conftest import Write

README = Path(__file__).parents[1] / "data/snakepit-0.8.3-README.md"


def test_the_configuration_of_the_readme(write: Write) -> None:
    """Both of its examples, as TOML."""
    assert "adapter_module: Snakepit.Adapters.GRPCPython" in README.read_text()
    write(
        """
        pooling_enabled = true
        adapter_module = "Snakepit.Adapters.GRPCPython"
        adapter_args = ["--adapter", "your_adapter_module.Adapter"]
        pool_size = 10
        log_level = "error"
        """
    )
    told = settings()
    assert told.pool().values() == {
        "name": "default",
        "adapter": "your_adapter_module:Adapter",
        "size": 10,
    }
    assert (told.value("pooling_enabled"), told.value("log_level")) == (True, "error")
    write(
        """
        [[pools]]
        name = "default"
        worker_profile = "process"
        pool_size = 10
        startup_batch_size = 4
        startup_batch_delay_ms = 500
        adapter_module = "Snakepit.Adapters.GRPCPython"
        adapter_args = ["--adapter", "my_app.adapters.MainAdapter"]

        [[pools]]
        name = "compute"
        worker_profile = "thread"
        pool_size = 4
        threads_per_worker = 8
        thread_safety_checks = true
        adapter_args = ["--adapter", "my_app.adapters.ComputeAdapter"]
        """
    )
    told = settings()
    assert told.pool("default").values() == {
        "name": "default",
        "profile": "process",
        "size": 10,
        "startup_batch_size": 4,
        "startup_batch_delay": 0.5,
        "adapter": "my_app.adapters:MainAdapter",
    }
    assert told.pool("compute").values() == {
        "name": "compute",
        "profile": "thread",
        "size": 4,
        "threads_per_worker": 8,
        "thread_safety_checks": True,
        "adapter": "my_app.adapters:ComputeAdapter",
    }


BECOMES: list[tuple[str, dict[str, Any]]] = [
    ("pool_size = 3", {"size": 3}),
    ('worker_profile = "thread"', {"profile": "thread"}),
    ('adapter_module = "my.mod.Class"', {"adapter": "my.mod:Class"}),
    ('adapter_module = "my.mod:Class"', {"adapter": "my.mod:Class"}),
    ('adapter_module = "Elixir.Snakepit.Adapters.GRPCPython"', {}),
    ('adapter_spec = "my.mod.Class"', {"adapter": "my.mod:Class"}),
    ('adapter_env = [["A", "1"]]', {"env": {"A": "1"}}),
    ('adapter_env = { A = "1" }', {"env": {"A": "1"}}),
    ("startup_batch_delay_ms = 500", {"startup_batch_delay": 0.5}),
    (
        "pool_config = { pool_size = 3, startup_batch_size = 8, startup_batch_delay_ms = 750 }",
        {"size": 3, "startup_batch_size": 8, "startup_batch_delay": 0.75},
    ),
    ('worker_ttl = "infinity"', {}),
    ("worker_ttl = 3600", {"recycle": {"age": 3600}}),
    ('worker_ttl = [2, "hours"]', {"recycle": {"age": 7200}}),
    ('worker_ttl = "1h"', {"recycle": {"age": 3600}}),
    ('worker_max_requests = "infinity"', {}),
    ("worker_max_requests = 1000", {"recycle": {"calls": 1000}}),
    ("memory_threshold_mb = 512", {"recycle": {"memory": 512 * 1024**2}}),
    (
        "worker_max_requests = 1000\nmemory_threshold_mb = 1",
        {"recycle": {"calls": 1000, "memory": 1024**2}},
    ),
    ("pool_startup_timeout = 10000", {"start_timeout": 10}),
    ("worker_ready_timeout = 30000", {"start_timeout": 30}),
    ("pool_max_queue_size = 50", {"max_queue": 50}),
    ("default_timeout = 300000", {"timeout": 300}),
    ('default_timeout = "infinity"', {"timeout": None}),
    ('default_command_timeout = "30s"', {"timeout": 30}),
    ("pool_request_timeout = 60000", {"timeout": 60}),
    ("pool_streaming_timeout = 300000", {"stream_timeout": 300}),
    ("graceful_shutdown_timeout_ms = 6000", {"grace": 6}),
    ('python_executable = "python3.12"', {"python": "python3.12"}),
    ("opentelemetry = { enabled = true }", {"opentelemetry": {"enabled": True}}),
    ("session_store = { max_sessions = 10 }", {"max_sessions": 10}),
    ("zero_copy = { enabled = false }", {"shared_memory": None}),
    ("zero_copy = { enabled = true }", {}),
    ('capacity_strategy = "pool"', {}),
    ("cleanup_on_stop = true", {}),
    ("process_group_kill = true", {}),
    ("heartbeat = { enabled = false, ping_interval_ms = 5 }", {"heartbeat": None}),
    (
        "[heartbeat]\nenabled = true\nping_interval_ms = 2000\ntimeout_ms = 10000\n"  # noqa: ISC004
        "max_missed_heartbeats = 3\ninitial_delay_ms = 0\ndependent = true",
        {
            "heartbeat": {"interval": 2, "timeout": 10, "missed": 3, "initial_delay": 0},
            "stall_kill": 0,
        },
    ),
    ("heartbeat = { dependent = false }", {"stall_kill": None}),
    ("crash_barrier = { enabled = false }", {"crash_barrier": None}),
]


@pytest.mark.parametrize(
    ("written", "becomes"), BECOMES, ids=[it[0].replace("\n", "; ") for it in BECOMES]
)
def test_a_name_becomes(write: Write, written: str, becomes: dict[str, Any]) -> None:
    lines = [] if "adapter" in becomes else ['adapter = "m:C"']
    write("\n".join([*lines, written]))
    told = settings(**({"adapter": "m:C"} if "adapter" in becomes else {}))
    values = {k: v for k, v in told.pool().values().items() if k not in ("name", "adapter")}
    assert values == {k: v for k, v in becomes.items() if k != "adapter"}
    if "adapter" in becomes:
        assert settings().pool().values()["adapter"] == becomes["adapter"]


def test_a_crash_barrier_of_the_original(write: Write) -> None:
    write(
        'adapter = "m:C"\ncrash_barrier = { enabled = true, retry = "idempotent", '
        "max_restarts = 1, taint_duration_ms = 5000 }"
    )
    barrier = settings().pool().values()["crash_barrier"]
    assert (barrier.taint, barrier.max_restarts) == (5, 1)


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("telemetry_metrics = { prometheus = { enabled = true } }", 9568),
        ("telemetry_metrics = { prometheus = { enabled = true, port = 9000 } }", 9000),
        ('telemetry_metrics = { prometheus = { enabled = true, ip = "127.0.0.1" } }', 9568),
        ("telemetry_metrics = { prometheus = { enabled = false, port = 9000 } }", None),
        ("telemetry_metrics = { prometheus = { port = 9000 } }", None),
        ("metrics_port = 0", 0),
    ],
)
def test_where_metrics_are_told(write: Write, written: str, port: int | None) -> None:
    write(f'adapter = "my_app:Model"\n{written}')
    assert settings().value("metrics_port") == port


@pytest.mark.parametrize(
    "written",
    [
        "telemetry_metrics = { statsd = { enabled = true } }",
        'telemetry_metrics = { prometheus = { enabled = true, ip = "0.0.0.0" } }',
        "telemetry_metrics = { prometheus = { enabled = true, port = 65536 } }",
        "telemetry_metrics = { prometheus = { enabled = true } }\nmetrics_port = 1",
        "metrics_port = -1",
        "queue_timeout = 5000",
        "pool_queue_timeout = 5000",
        "checkout_timeout = 5000",
        "max_workers = 150",
        'capacity_strategy = "hybrid"',
        "stream_timeout = 900000",
        "grpc_port = 50051",
        'grpc_host = "localhost"',
        "cleanup_on_stop = false",
        "rogue_cleanup = { enabled = true }",
        "python_thread_limits = { omp = 1 }",
        'python = { strategy = "venv" }',
        'python_packages = { installer = "auto" }',
        "library_mode = true",
        "log_python_output = true",
        'grpc_log_level = "error"',
        'adapter_args = ["--max-workers", "4"]',
        'crash_barrier = { mark_on = ["oom"] }',
        'crash_barrier = { retry = "always" }',
        "session_store = { strict_mode = true }",
        "zero_copy = { dlpack = true }",
        'worker_ttl = [1, "fortnights"]',
        "adapter_env = [1]",
    ],
    ids=lambda it: it,
)
def test_a_name_is_refused_with_the_reason(write: Write, written: str) -> None:
    path = write(f"\n{written}\n")
    with pytest.raises(ConfigError) as caught:
        settings()
    assert caught.value.source == f"{path}:2"
    assert len(str(caught.value)) > 30


def test_each_name_is_tried_here() -> None:
    import inspect
    import sys

    source = inspect.getsource(sys.modules[__name__])
    # Four of one kind are tried by one of them.
    alike = {"cleanup_on_stop_timeout_ms", "cleanup_poll_interval_ms"}
    alike |= {"cleanup_retry_interval_ms", "cleanup_max_retries"}
    assert {name for name in NAMES if name not in source} <= alike
