"""The public list: complete, importable, documented and cheap."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import snakepit
from snakepit import errors


def test_every_listed_name_exists() -> None:
    for name in snakepit.__all__:
        assert getattr(snakepit, name) is not None, name
    assert set(snakepit.__all__) <= set(dir(snakepit))


def test_every_public_name_is_listed() -> None:
    own = {
        name
        for name, value in vars(snakepit).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("snakepit")
    }
    assert own <= set(snakepit.__all__)


def test_every_error_of_the_tree_is_exported() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SnakepitError)
    }
    assert {name for name in tree if not name.startswith("Remote")} <= set(snakepit.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        snakepit.nonsense  # noqa: B018


def test_everything_public_is_documented() -> None:
    for name in snakepit.__all__:
        thing = getattr(snakepit, name)
        if not inspect.isclass(thing):
            continue
        assert inspect.getdoc(thing), name
        for attribute, member in vars(thing).items():
            if not attribute.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def test_both_faces_have_the_same_names_and_parameters() -> None:
    def public(face: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(face, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert public(snakepit.Pool) == public(snakepit.AsyncPool)


def test_import_leaves_out_what_costs_a_host_its_start() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from face import fake_core;"
        "sys.modules['snakepit._core'] = fake_core.module(); import snakepit;"
        "print(*{'snakepit.errors', 'logging'} & set(sys.modules));"
        "snakepit.Pool, snakepit.Future, snakepit.SnakepitError;"
        "print(*{'asyncio', 'dataclasses', 'inspect', 'datetime', 'numpy'} & set(sys.modules))"
    )
    tests = __file__.rpartition("/face/")[0]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}", tests],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
