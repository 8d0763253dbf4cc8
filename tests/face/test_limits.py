"""Limits and devices of workers: wrong values are refused where they enter."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, Limits, hardware

from .conftest import Adapter

MIB = 1024 * 1024


def test_nothing_said_leaves_it_to_the_engine(make_pool: Any) -> None:
    config = make_pool()._engine.config
    assert (config.limits, config.env_by_slot) == (None, {})


def test_values_and_mappings_will_do(make_pool: Any) -> None:
    limits = Limits(nice=5, address_space=256 * MIB, open_files=64, umask=0o077)
    expected = (5, 256 * MIB, 64, False, 0o077, True, 500)
    assert make_pool(limits=limits)._engine.config.limits == expected
    mapping = {"nice": 5, "address_space": 256 * MIB, "open_files": 64, "umask": 0o077}
    assert make_pool(limits=mapping)._engine.config.limits == expected


@pytest.mark.parametrize(
    ("limits", "field", "suggestion"),
    [
        ({"nice": 20}, "limits.nice", "19"),
        ({"nice": -1}, "limits.nice", "0"),
        ({"nice": 1.5}, "limits.nice", None),
        ({"address_space": MIB}, "limits.address_space", str(256 * MIB)),
        ({"address_space": "4GiB"}, "limits.address_space", None),
        ({"open_files": 8}, "limits.open_files", "64"),
        ({"umask": 0o1000}, "limits.umask", "511"),
        ({"oom_score": 1001}, "limits.oom_score", "1000"),
        ({"no_new_privs": "yes"}, "limits.no_new_privs", None),
        ({"core_files": 0}, "limits.core_files", None),
        ({"adress_space": 1}, "limits", "address_space"),
        (5, "limits", None),
    ],
)
def test_what_makes_no_sense_is_refused(limits: Any, field: str, suggestion: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        snakepit.Pool(Adapter, size=1, limits=limits)
    assert (caught.value.field, caught.value.suggestion) == (field, suggestion)


def test_what_depends_on_the_slot_is_told_apart(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPT", "{slot}")
    monkeypatch.setenv("GPU", "9")
    env = {
        "GPU": "{slot}",
        "TURN": ["0", "1"],
        "ONE": ["x{{y}}"],
        "JSON": '{"a": {"b": 1}}',
        "BRACES": "{{slot}}",
        "OMP_NUM_THREADS": ["1", "2"],
    }
    config = make_pool(env=env)._engine.config
    assert config.env_by_slot == {
        "GPU": (["{slot}"], None),
        "TURN": (["0", "1"], None),
        "OMP_NUM_THREADS": (["1", "2"], None),
    }
    assert not config.env.keys() & config.env_by_slot.keys()
    told = {name: config.env[name] for name in ("ONE", "JSON", "BRACES", "PROMPT")}
    assert told == {"ONE": "x{y}", "JSON": env["JSON"], "BRACES": "{slot}", "PROMPT": "{slot}"}
    assert make_pool(env=env, secrets=["GPU"])._engine.config.env_by_slot.keys() == {
        "TURN",
        "OMP_NUM_THREADS",
    }


def test_strict_takes_more_by_name(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "x")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    config = make_pool(env=("strict", {"TOKEN": "x", "GPU": "{slot}"}))._engine.config
    assert "DATABASE_URL" not in config.env
    assert (config.env["TOKEN"], config.env_by_slot) == ("x", {"GPU": (["{slot}"], None)})
    assert config.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert config.env["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"GPU": "{slto}"}, r"GPU: there is no \{slto\}; \{slot\} is the worker's place"),
        ({"GPU": ["{slot}", "{n}"]}, r"\{\{n\}\} stands for braces"),
        ({"GPU": []}, "a list of strings that the slots have in turn"),
        ({"GPU": ["0", 1]}, "a list of strings"),
        ({"GPU": 0}, "a string"),
        (("strict", "inherit"), "such a word and a mapping"),
        (("clean", {}), "such a word and a mapping"),
        (["strict"], "such a word and a mapping"),
        ({"SNAKEPIT_LIMITS": ""}, "SNAKEPIT_LIMITS: .* take another name"),
        ({"SNAKEPIT_LINE": None}, "SNAKEPIT_LINE: .* leave it out"),
        (("strict", {"SNAKEPIT_RUN": "{slot}"}), "SNAKEPIT_RUN: .* the host's own"),
        ({"SNAKEPIT_MINE": ["a", "b"]}, "SNAKEPIT_MINE: .* the host's own"),
        ({"GPU": ["\udcff", "a"]}, "GPU: .* bytes that are no text"),
    ],
)
def test_a_wrong_environment_is_refused(env: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        snakepit.Pool(Adapter, size=1, env=env)
    assert caught.value.field == "env"


def test_devices_replace_what_was_there(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert make_pool()._engine.config.devices == []
    devices = ["cuda:2", hardware.Device("cuda", 3)]
    config = make_pool(devices=devices, env={"A": "{slot}"})._engine.config
    assert config.devices == ["cuda:2", "cuda:3"]
    assert config.env_by_slot == {
        "A": (["{slot}"], None),
        "CUDA_VISIBLE_DEVICES": (["2", "3"], None),
        "CUDA_DEVICE_ORDER": (["PCI_BUS_ID"], None),
    }
    assert not config.env.keys() & config.env_by_slot.keys()
    assert make_pool(devices="cuda:1")._engine.config.devices == ["cuda:1"]
    for options in ({"env": {"CUDA_DEVICE_ORDER": "x"}}, {"secrets": ["CUDA_VISIBLE_DEVICES"]}):
        with pytest.raises(ConfigError, match="CUDA_"):
            make_pool(devices=["cuda:0"], **options)
