"""Which events of adapters are sent: what a pool takes, and what the engine is told."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, TelemetryFilter


def test_the_engine_is_told_what_a_pool_takes(make_pool: Any) -> None:
    def told(**options: Any) -> Any:
        return make_pool(**options)._engine.config.telemetry

    assert told() == (1.0, [], [])
    assert told(telemetry={"deny": "a.*"}) == (1.0, [], ["a.*"])
    rule = TelemetryFilter(sampling=0, allow=("a", "b"), deny=["c"])
    assert told(telemetry=rule) == (0.0, ["a", "b"], ["c"])


def test_it_may_be_changed(make_pool: Any) -> None:
    pool = make_pool()
    pool.set_telemetry(sampling=0.5, allow=["a.*"], worker=1)
    assert pool._engine.wanted_telemetry == (1, (0.5, ["a.*"], []))
    pool.set_telemetry()
    assert pool._engine.wanted_telemetry == (None, (1.0, [], []))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("all", "telemetry: a snakepit.TelemetryFilter or a mapping is needed"),
        ({"sample": 1}, 'there is no "sample"; did you mean "sampling"'),
        ({"sampling": -0.1}, "telemetry.sampling: must be a number from 0 to 1, not -0.1"),
        ({"sampling": True}, "not True"),
        ({"sampling": float("nan")}, "not nan"),
        ({"allow": [1]}, "telemetry.allow: a list of globs is needed"),
        ({"deny": [""]}, "telemetry.deny: a pattern has 1 to 256 characters, not 0"),
        ({"deny": ["x" * 257]}, "not 257"),
        ({"allow": ["x"] * 65}, "telemetry.allow: at most 64 patterns may be, not 65"),
    ],
)
def test_what_cannot_be_is_refused(make_pool: Any, wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pool(telemetry=wrong)
    assert message in str(caught.value)
    assert caught.value.field is not None
    assert caught.value.field.startswith("telemetry")


def test_it_is_part_of_the_package() -> None:
    assert snakepit.TelemetryFilter is TelemetryFilter
