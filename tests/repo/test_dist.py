"""The checks of `scripts/` find what is wrong with a distribution, and only that."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_dist  # noqa: E402
import check_tags  # noqa: E402

CHECKOUT = check_dist.Checkout()
VERSION = CHECKOUT.version
INFO = f"snakepit_pool-{VERSION}.dist-info"
METADATA = f"""\
Metadata-Version: 2.4
Name: snakepit-pool
Version: {VERSION}
Requires-Dist: rich>=14
Requires-Dist: snakepit-bridge=={VERSION}
Requires-Dist: typer>=0.28
License-File: LICENSE
License-Expression: MIT
Requires-Python: >=3.11
"""
PLATFORM = "manylinux_2_17_x86_64"


def bill() -> bytes:
    """Of the packages that Cargo.lock locks."""
    parts = [{"name": name, "version": version} for name, version in sorted(CHECKOUT.locked())]
    return json.dumps({"bomFormat": "CycloneDX", "components": parts}).encode()


def contents() -> dict[str, bytes]:
    """What a good wheel has, by name."""
    files = dict.fromkeys(CHECKOUT.package("snakepit"), b"")
    return files | {
        "snakepit/_core.abi3.so": b"\x7fELF",
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/WHEEL": b"",
        f"{INFO}/RECORD": b"",
        f"{INFO}/entry_points.txt": b"",
        f"{INFO}/licenses/LICENSE": CHECKOUT.licence,
        f"{INFO}/sboms/snakepit-py.cyclonedx.json": bill(),
    }


def faults(
    folder: Path, files: dict[str, bytes], tags: str = "cp311-abi3", platform: str = PLATFORM
) -> list[str]:
    wheel = folder / f"snakepit_pool-{VERSION}-{tags}-{platform}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return [*check_dist.wheel_faults(wheel, CHECKOUT, release=True)]


def test_a_good_wheel_has_no_faults(tmp_path: Path) -> None:
    assert faults(tmp_path, contents()) == []


@pytest.mark.parametrize(
    "name",
    [
        "snakepit/py.typed",
        "snakepit/_core.pyi",
        f"{INFO}/licenses/LICENSE",
        f"{INFO}/entry_points.txt",
    ],
)
def test_a_file_too_few_is_named(tmp_path: Path, name: str) -> None:
    files = contents()
    del files[name]
    assert faults(tmp_path, files) == [f"not in the wheel: {name}"]


@pytest.mark.parametrize(
    "name", ["snakepit/tests/test_pool.py", "tests/conftest.py", "snakepit_bridge/__init__.py"]
)
def test_a_file_too_many_is_named(tmp_path: Path, name: str) -> None:
    found = faults(tmp_path, {**contents(), name: b""})
    assert found == [f"does not belong into the wheel: {name}"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (f"snakepit-bridge=={VERSION}", "snakepit-bridge>=0.1"),
        (f"Version: {VERSION}", "Version: 0.0.9"),
        ("Requires-Python: >=3.11", "Requires-Python: >=3.9"),
        ("License-Expression: MIT", "License-Expression: Apache-2.0"),
    ],
)
def test_metadata_that_differs_is_named(tmp_path: Path, good: str, bad: str) -> None:
    metadata = METADATA.replace(good, bad).encode()
    [fault] = faults(tmp_path, {**contents(), f"{INFO}/METADATA": metadata})
    assert bad.partition(":")[0].partition(">")[0] in fault


def test_the_tag_and_the_module_agree(tmp_path: Path) -> None:
    assert faults(tmp_path, contents(), "cp313-cp313t") == [
        "tagged cp313t, but its module is snakepit/_core.abi3.so"
    ]
    files = contents()
    del files["snakepit/_core.abi3.so"]
    assert faults(tmp_path, files) == ["one native module is wanted, not 0"]
    files["snakepit/_core.cpython-313t-x86_64-linux-gnu.so"] = b""
    assert faults(tmp_path, files, "cp313-cp313t") == []
    [fault] = faults(tmp_path, files, "cp313-cp313")
    assert fault.startswith("tagged cp313, but")


def test_a_wheel_for_this_machine_alone_is_not_released(tmp_path: Path) -> None:
    home = str(Path.home()).encode() + b"/.cargo/registry"
    [tag, path] = faults(
        tmp_path, {**contents(), "snakepit/_core.abi3.so": home}, platform="linux_x86_64"
    )
    assert tag == "tagged linux_x86_64: no index takes it"
    assert path.startswith("a path of the machine that built it")


def test_a_bill_lists_what_is_locked(tmp_path: Path) -> None:
    listed: dict[str, Any] = json.loads(bill())
    listed["components"].append({"name": "leftpad", "version": "1.0.0"})
    name = f"{INFO}/sboms/snakepit-py.cyclonedx.json"
    assert faults(tmp_path, {**contents(), name: json.dumps(listed).encode()}) == [
        "its bill of materials lists leftpad 1.0.0, Cargo.lock does not"
    ]


def test_an_sdist_has_the_repositorys_lock_and_nothing_built(tmp_path: Path) -> None:
    sdist = tmp_path / f"snakepit_pool-{VERSION}.tar.gz"
    files = {
        **{f"python/{name}": b"" for name in CHECKOUT.package("snakepit")},
        **{f"{member}/Cargo.toml": b"" for member in CHECKOUT.members},
        **dict.fromkeys(("pyproject.toml", "README.md", "Cargo.toml"), b""),
        "PKG-INFO": METADATA.encode(),
        "LICENSE": CHECKOUT.licence,
        "Cargo.lock": CHECKOUT.lock,
    }

    def found(files: dict[str, bytes]) -> list[str]:
        with tarfile.open(sdist, "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"snakepit_pool-{VERSION}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return [*check_dist.sdist_faults(sdist, CHECKOUT)]

    assert found(files) == []
    [lock] = found({**files, "Cargo.lock": b"version = 4"})
    assert lock.startswith("its Cargo.lock is not the repository's")
    assert found({**files, "target/x.d": b""}) == ["was built, not written: target/x.d"]
    del files["crates/xtask/Cargo.toml"]
    assert found(files) == ["not in the sdist: crates/xtask/Cargo.toml"]


def test_a_release_is_complete() -> None:
    names = [
        f"snakepit_pool-{VERSION}-cp311-abi3-manylinux2014_x86_64.{PLATFORM}.whl",
        f"snakepit_pool-{VERSION}.tar.gz",
        f"snakepit_bridge-{VERSION}-py3-none-any.whl",
    ]
    [missing] = check_dist.set_faults(names)
    assert "snakepit_bridge" in missing
    assert [*check_dist.set_faults([*names, f"snakepit_bridge-{VERSION}.tar.gz"])] == []


@pytest.mark.parametrize(
    ("tag", "symbols", "needed", "fault"),
    [
        ("manylinux2014_x86_64.manylinux_2_17_x86_64", "manylinux_2_17_x86_64", [], None),
        ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", [], None),
        ("manylinux_2_17_x86_64", "manylinux_2_34_x86_64", [], "its symbols make it"),
        ("manylinux_2_17_x86_64", "manylinux_2_17_x86_64", ["libz.so.1"], "needs libz.so.1"),
        ("musllinux_1_2_aarch64", "musllinux_1_2_aarch64", ["libc.so"], None),
        ("musllinux_1_2_x86_64", "manylinux_2_17_x86_64", [], "its symbols make it"),
        ("linux_x86_64", "manylinux_2_17_x86_64", [], "its symbols make it"),
    ],
)
def test_a_platform_tag_is_kept(tag: str, symbols: str, needed: list[str], fault: str) -> None:
    verdict = {
        "wheel": f"snakepit_pool-{VERSION}-cp311-abi3-{tag}.whl",
        "sym_tag": symbols,
        "external_libs": dict.fromkeys(needed),
    }
    found = [*check_tags.faults(verdict)]
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_both_distributions_have_the_same_licence() -> None:
    assert (ROOT / "python/LICENSE").read_bytes() == CHECKOUT.licence


def test_workflows_call_scripts_that_exist() -> None:
    """They are thin: what they do is proven by these scripts, here."""
    text = "".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))
    called = set(re.findall(r"(?:scripts|\.ci)/[\w./-]*\w", text))
    assert {"scripts/build-wheels.sh", "scripts/check-dist.sh", ".ci/run"} <= called
    assert [name for name in called if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.*")))
def test_each_script_says_what_it_is_for(script: str) -> None:
    path = ROOT / "scripts" / script
    command = [sys.executable, path] if path.suffix == ".py" else [path]
    ended = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, timeout=100, check=True
    )
    head = path.read_text().split("\n", 2)[1 if path.suffix == ".sh" else 0].lstrip('#" ')
    assert head in ended.stdout.splitlines()
    assert ended.stderr == ""
