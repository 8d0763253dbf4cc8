"""One version: in Cargo, in both distributions, in what they say when they run."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import snakepit
import snakepit_bridge
from snakepit import _core


def test_everything_that_is_installed_has_cargos_version(root: Path) -> None:
    version = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    found = {
        "wheel": metadata.version("snakepit-pool"),
        "bridge": metadata.version("snakepit-bridge"),
        "snakepit": snakepit.__version__,
        "snakepit._core": _core.__version__,
        "snakepit_bridge": snakepit_bridge.__version__,
    }
    assert found == dict.fromkeys(found, version)


def test_the_wheel_needs_exactly_its_bridge(root: Path) -> None:
    needs = metadata.requires("snakepit-pool") or []
    assert f"snakepit-bridge=={snakepit.__version__}" in needs


def test_each_package_comes_from_its_own_distribution() -> None:
    owners = metadata.packages_distributions()
    assert set(owners["snakepit"]) == {"snakepit-pool"}
    assert set(owners["snakepit_bridge"]) == {"snakepit-bridge"}
