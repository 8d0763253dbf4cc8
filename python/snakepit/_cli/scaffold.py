"""The files of a new adapter's project: what they are called and what they say, nothing written."""

from __future__ import annotations

import keyword
import re
import sys
from string import Template

_ADAPTER = '''\
"""$Class: what its tools do, in a line."""

from __future__ import annotations

from collections.abc import Iterator

from snakepit_bridge import BaseAdapter, tool


class $Class(BaseAdapter):
    """Lives in a worker, as long as that does.

    Args:
        greeting: The pool's ``adapter_args`` are the keywords of this method.
    """

    def __init__(self, greeting: str = "Hello") -> None:
        super().__init__()
        self.greeting = greeting

    def initialize(self) -> None:
        """Called once, before the first call: load models, open connections."""

    def cleanup(self) -> None:
        """Called once, when the worker is asked to stop."""

    @tool
    def greet(self, name: str) -> str:
        """Say hello.

        Args:
            name: To whom.
        """
        return f"{self.greeting}, {name}!"

    @tool
    def spell(self, name: str) -> Iterator[str]:
        """Stream the letters of a name, a chunk each."""
        yield from name
'''

_TESTS = '''\
"""The adapter in this process, where a debugger sees it, and in a worker, as programs have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import snakepit

from $module import $Class


@pytest.fixture(scope="module", params=[True, False], ids=["inline", "worker"])
def pool(request: pytest.FixtureRequest) -> Iterator[snakepit.Pool]:
    with snakepit.Pool($Class, size=1, inline=request.param) as pool:
        yield pool


def test_greet(pool: snakepit.Pool) -> None:
    assert pool.execute("greet", {"name": "snake"}) == "Hello, snake!"


def test_spell(pool: snakepit.Pool) -> None:
    assert list(pool.execute_stream("spell", {"name": "boa"})) == ["b", "o", "a"]
'''

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "An adapter for Snakepit"
requires-python = ">=3.10"
# What the adapter imports. Hosts need snakepit-pool; workers need the bridge alone.
dependencies = ["snakepit-bridge>=$version"]

[dependency-groups]
test = ["pytest", "snakepit-pool>=$version"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
"""

_README = """\
# $distribution

An adapter for Snakepit: `$module.py` has the class `$Class`, its tools are the methods marked with
`@tool`.

```sh
snakepit run $module:$Class greet '{"name": "world"}'          # one call, in this folder
snakepit run $module:$Class spell '{"name": "boa"}' --stream
python -m pytest                                               # its tests
snakepit setup .                                               # an environment for its workers
```

In a program:

```python
import snakepit

if __name__ == "__main__":
    with snakepit.Pool("$module:$Class", size=4) as pool:
        print(pool.execute("greet", {"name": "world"}))
```
"""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def fault(name: str) -> tuple[str, str | None] | None:
    """What is wrong with the name of an adapter, and one that would do; ``None``: nothing."""
    if not _NAME.fullmatch(name):
        return (
            f"{name!r} is no name of a Python module: letters, digits and _, a letter first",
            suggestion(name),
        )
    module = module_of(name)
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        return f"{name!r} is a word of the language", suggestion(f"{module}_adapter")
    if module in sys.stdlib_module_names or module in ("snakepit", "snakepit_bridge", "tests"):
        return (
            f"a module {module} would hide the one that Python has",
            suggestion(f"{module}_adapter"),
        )
    return None


def suggestion(name: str) -> str | None:
    """A name like that one which would do."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lstrip("0123456789_")
    return words if words and fault(words) is None else None


def module_of(name: str) -> str:
    """``my_model`` for ``MyModel``."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][^A-Z_]*|[^A-Z_]+", name)
    return "_".join(parts).lower()


def class_of(name: str) -> str:
    """``MyModel`` for ``my_model``."""
    return "".join(part[:1].upper() + part[1:] for part in module_of(name).split("_"))


def files(name: str, version: str) -> dict[str, str]:
    """Path inside the project, and text, of each file."""
    module = module_of(name)
    words = {
        "module": module,
        "Class": class_of(name),
        "distribution": module.replace("_", "-"),
        "version": version,
    }
    texts = {
        f"{module}.py": _ADAPTER,
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        f"tests/test_{module}.py": _TESTS,
    }
    return {path: Template(text).substitute(words) for path, text in texts.items()}
