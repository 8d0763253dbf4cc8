"""Several pools, several sources, profiles of timeouts: what each pool is told in the end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from snakepit import ConfigError, settings
from snakepit._settings._document import Source, read
from snakepit._settings._origin import Origin
from snakepit._settings._resolve import resolve
from snakepit._settings._timeouts import PROFILES

from .conftest import Write


def source(name: str, document: dict[str, Any]) -> Source:
    return read(document, lambda _: Origin("file", name))


def test_a_source_counts_before_what_it_is_about() -> None:
    """All of the upper source before all of the lower one; a single pool before all pools."""
    documents = {
        "upper, one pool": {"pools": {"p": {"size": 1}}},
        "upper, all": {"size": 2},
        "lower, one pool": {"pools": {"p": {"size": 3}}},
        "lower, all": {"size": 4},
    }
    for count in range(1, 5):
        for some in itertools.combinations(documents.items(), count):
            upper: dict[str, Any] = {"pools": {"p": {"adapter": "m:C"}}}
            lower: dict[str, Any] = {}
            for name, document in some:
                into = upper if name.startswith("upper") else lower
                for key, value in document.items():
                    if key == "pools":
                        into.setdefault("pools", {}).setdefault("p", {}).update(value["p"])
                    else:
                        into[key] = value
            told = resolve([source("upper", upper), source("lower", lower)])
            first = next(iter(some))[1]
            assert told.pool("p").values()["size"] == (
                first["size"] if "size" in first else first["pools"]["p"]["size"]
            )


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_profile_sets_limits_that_may_be_set_anew(write: Write, profile: str) -> None:
    write(f'adapter = "m:C"\ntimeout_profile = "{profile}"\n')
    pool = settings().pool()
    values = pool.values()
    assert {key: values[key] for key in ("timeout", "stream_timeout")} == PROFILES[profile]
    assert str(pool.origin("timeout")) == f"timeout_profile {profile}"
    anew = settings(timeout=5).pool()
    assert anew.values()["timeout"] == 5
    assert anew.origin("timeout").kind == "code"
    assert anew.values()["stream_timeout"] == PROFILES[profile]["stream_timeout"]


def test_a_pool_may_have_a_profile_of_its_own(write: Write) -> None:
    write(
        'adapter = "m:C"\ntimeout_profile = "batch"\ngrace = 1\n'
        '[[pools]]\nname = "a"\n[[pools]]\nname = "b"\ntimeout_profile = "production_strict"\n'
    )
    told = settings()
    assert [*told.pools] == ["a", "b"]
    assert [told.pool(name).values()["timeout"] for name in "ab"] == [3600, 60]


def test_the_pool_that_is_meant(write: Write) -> None:
    write('adapter = "m:C"\nname = "only"')
    assert settings().pool().name == settings().pool("only").name == "only"
    write('adapter = "m:C"\n[pools.a]\n[pools.default]')
    assert settings().pool().name == "default"
    write('adapter = "m:C"\n[pools.compute]\n[pools.b]')
    with pytest.raises(ConfigError, match="compute, b"):
        settings().pool()
    with pytest.raises(ConfigError) as caught:
        settings().pool("compte")
    assert (caught.value.field, caught.value.suggestion) == ("pool", "compute")


def test_a_pool_without_an_adapter(write: Write) -> None:
    import snakepit

    write("[pools.a]\nsize = 2\n")
    with pytest.raises(ConfigError, match='pool "a" has none'):
        snakepit.Pool.from_config()


def test_two_pools_of_one_name(write: Write) -> None:
    path = write('adapter = "m:C"\n[[pools]]\nname = "a"\n[[pools]]\nname = "a"\n')
    with pytest.raises(ConfigError) as caught:
        settings()
    assert f"({path}:2)" in str(caught.value)
    assert caught.value.source == f"{path}:4"


def test_a_name_beside_names(write: Write) -> None:
    write('adapter = "m:C"\nname = "x"\n[pools.a]\n')
    with pytest.raises(ConfigError, match="names of their own"):
        settings()
    write('adapter = "m:C"\n[pools.a]\nname = "b"\n')
    with pytest.raises(ConfigError, match='called "a" already'):
        settings()


def test_the_same_said_twice(write: Write) -> None:
    path = write('adapter = "m:C"\nsize = 1\npool_size = 2\n')
    with pytest.raises(ConfigError, match="says the same as") as caught:
        settings()
    assert caught.value.source == f"{path}:3"
