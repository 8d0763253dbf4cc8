"""Distributions that are made here, so that nothing is asked of an index."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import snakepit_bridge


def wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Write a wheel with these files."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(path, content)


def bridge(folder: Path) -> None:
    """Write a wheel of the SDK that this interpreter has."""
    package = Path(snakepit_bridge.__file__).parent
    files = {
        str(path.relative_to(package.parent)): path.read_bytes()
        for path in package.rglob("*.py*")
        if path.suffix in (".py", ".typed")
    }
    wheel(folder, "snakepit-bridge", snakepit_bridge.__version__, files)


PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "scales"
version = "1.0"
"""

BACKEND = '''\
"""The least that pip can build a wheel with."""

import pathlib
import zipfile

INFO = "scales-1.0.dist-info"
FILES = {
    "scales.py": pathlib.Path("scales.py").read_text(),
    f"{INFO}/METADATA": "\\n".join(
        ["Metadata-Version: 2.1", "Name: scales", "Version: 1.0", "Requires-Dist: fangs", ""]
    ),
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{INFO}/RECORD": "",
}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "scales-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
    return name
'''

ADAPTER = """\
import fangs
from snakepit_bridge import BaseAdapter, tool


class Scales(BaseAdapter):
    @tool
    def length(self) -> int:
        return fangs.LENGTH
"""


def project(folder: Path, links: Path) -> None:
    """An adapter's project, and in ``links`` what it needs."""
    folder.mkdir()
    for name, text in {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND,
        "scales.py": ADAPTER,
    }.items():
        (folder / name).write_text(text)
    bridge(links)
    wheel(links, "fangs", "2.0", {"fangs.py": b"LENGTH = 7\n"})
