"""Says what is wrong with distributions before anybody installs them; prints their sizes.

    python scripts/check_dist.py [--release] FOLDER

Contents, metadata and the software bill of materials are compared with the checkout, so a file too
many is found as well as one too few. ``--release`` also asks that the set is complete and that no
path of the machine that built it is inside. Nothing is imported; `try-dist.sh` installs.
"""

from __future__ import annotations

import argparse
import email
import email.message
import json
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NATIVE = re.compile(r"snakepit/_core\.(?P<abi>abi3|cpython-\d+t?-[\w-]+)\.so")
# Of what was built or installed nothing belongs into a source distribution.
BUILT = re.compile(r"\.(so|whl|pyc|rlib)$|(^|/)(target|\.venvs?|__pycache__|node_modules)/")
WHEEL_LIMIT = 5 * 2**20  # bytes; an unstripped core is several times as large


class Checkout:
    """What the distributions are made from."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        manifest = tomllib.loads((root / "Cargo.toml").read_text())
        self.version: str = manifest["workspace"]["package"]["version"]
        self.members: list[str] = manifest["workspace"]["members"]
        self.lock = (root / "Cargo.lock").read_bytes()
        self.licence = (root / "LICENSE").read_bytes()

    def package(self, name: str) -> set[str]:
        """The files of an import package, as a wheel names them."""
        python = self.root / "python"
        files = (path for path in (python / name).rglob("*") if path.is_file())
        names = (path.relative_to(python).as_posix() for path in files)
        return {name for name in names if not BUILT.search(name)}

    def locked(self) -> set[tuple[str, str]]:
        packages = tomllib.loads(self.lock.decode())["package"]
        return {(package["name"], package["version"]) for package in packages}


def wheel_faults(wheel: Path, checkout: Checkout, *, release: bool = False) -> Iterator[str]:
    distribution = wheel.name.split("-")[0]
    package = {"snakepit_pool": "snakepit", "snakepit_bridge": "snakepit_bridge"}.get(distribution)
    if package is None:
        yield f"no distribution of ours: {distribution}"
        return
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    info = f"{distribution}-{checkout.version}.dist-info"
    wanted = checkout.package(package) | {
        f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")
    }
    if package == "snakepit":
        wanted.add(f"{info}/sboms/snakepit-py.cyclonedx.json")
        wanted.add(f"{info}/entry_points.txt")  # the command `snakepit`
        yield from native_faults(wheel, files, release=release)
    found = {name for name in files if not NATIVE.fullmatch(name)}
    yield from (f"not in the wheel: {name}" for name in sorted(wanted - found))
    yield from (f"does not belong into the wheel: {name}" for name in sorted(found - wanted))

    if files.get(f"{info}/licenses/LICENSE") not in (None, checkout.licence):
        yield "its LICENSE is not the repository's"
    if metadata := files.get(f"{info}/METADATA"):
        yield from metadata_faults(metadata, distribution, checkout)
    if bill := files.get(f"{info}/sboms/snakepit-py.cyclonedx.json"):
        yield from bill_faults(bill, checkout)
    if wheel.stat().st_size > WHEEL_LIMIT:
        yield f"{wheel.stat().st_size} bytes, more than {WHEEL_LIMIT}"


def native_faults(wheel: Path, files: dict[str, bytes], *, release: bool) -> Iterator[str]:
    cores = [match for match in map(NATIVE.fullmatch, files) if match]
    if len(cores) != 1:
        yield f"one native module is wanted, not {len(cores)}"
        return
    [core] = cores
    _, abi, platform = wheel.stem.rsplit("-", 2)
    # cp313t: the suffix of that interpreter is `cpython-313t-…`.
    suffix = "abi3" if abi == "abi3" else f"cpython-{abi.removeprefix('cp')}-"
    if not core["abi"].startswith(suffix):
        yield f"tagged {abi}, but its module is {core[0]}"
    if not release:
        return
    if not re.search(r"(many|musl)linux", platform):
        yield f"tagged {platform}: no index takes it"
    for trace in {str(ROOT), str(Path.home())} - {"/"}:
        if f"{trace}/".encode() in files[core[0]]:
            yield f"a path of the machine that built it is in {core[0]}: {trace}"


def metadata_faults(raw: bytes, distribution: str, checkout: Checkout) -> Iterator[str]:
    metadata: email.message.Message = email.message_from_bytes(raw)
    wanted = {
        "Name": distribution.replace("_", "-"),
        "Version": checkout.version,
        "License-Expression": "MIT",
        "License-File": "LICENSE",
        "Requires-Python": ">=3.11" if distribution == "snakepit_pool" else ">=3.10",
    }
    for field, value in wanted.items():
        if metadata[field] != value:
            yield f"{field}: {metadata[field]}, wanted {value}"
    requires = metadata.get_all("Requires-Dist") or []
    needed = sorted(line.replace(" ", "") for line in requires if "extra ==" not in line)
    wanted_needed = (
        ["rich>=14", f"snakepit-bridge=={checkout.version}", "typer>=0.28"]
        if distribution == "snakepit_pool"
        else []
    )
    if needed != wanted_needed:
        yield f"Requires-Dist: {needed}, wanted {wanted_needed}"


def bill_faults(raw: bytes, checkout: Checkout) -> Iterator[str]:
    """Every component that the bill lists is one that Cargo.lock locks, at that version."""
    bill = json.loads(raw)
    if bill.get("bomFormat") != "CycloneDX":
        yield f"its bill of materials is no CycloneDX: {bill.get('bomFormat')}"
        return
    listed = {(part["name"], part["version"]) for part in bill.get("components", [])}
    if not {"snakepit", "tokio", "tonic", "pyo3"} <= {name for name, _ in listed}:
        yield "its bill of materials does not list what it is built from"
    for name, version in sorted(listed - checkout.locked()):
        yield f"its bill of materials lists {name} {version}, Cargo.lock does not"


def sdist_faults(sdist: Path, checkout: Checkout) -> Iterator[str]:
    distribution = sdist.name.split("-")[0]
    with tarfile.open(sdist) as archive:
        members = {member.name: member for member in archive.getmembers() if not member.isdir()}

        def text(name: str) -> bytes:
            member = members.get(f"{distribution}-{checkout.version}/{name}")
            file = archive.extractfile(member) if member and member.isfile() else None
            return file.read() if file else b""

        wanted = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE"}
        if distribution == "snakepit_pool":
            wanted |= {"Cargo.toml", "Cargo.lock"}
            wanted |= {f"{member}/Cargo.toml" for member in checkout.members}
            wanted |= {f"python/{name}" for name in checkout.package("snakepit")}
            if text("Cargo.lock") != checkout.lock:
                yield "its Cargo.lock is not the repository's: other versions than the tested ones"
        else:
            wanted |= checkout.package("snakepit_bridge")
        if text("LICENSE") != checkout.licence:
            yield "its LICENSE is not the repository's"
        yield from metadata_faults(text("PKG-INFO"), distribution, checkout)

    prefix = f"{distribution}-{checkout.version}/"
    found = {name.removeprefix(prefix) for name in members}
    yield from (f"not in the sdist: {name}" for name in sorted(wanted - found))
    if distribution == "snakepit_bridge":
        yield from (
            f"does not belong into the sdist: {name}"
            for name in sorted(found - wanted - {".gitignore"})  # hatchling always adds that one
        )
    yield from (f"was built, not written: {name}" for name in sorted(found) if BUILT.search(name))


def set_faults(names: list[str]) -> Iterator[str]:
    """A release is both distributions, each as a wheel and as source."""
    for pattern in (
        r"snakepit_pool-.*-abi3-manylinux.*\.whl",
        r"snakepit_pool-.*\.tar\.gz",
        r"snakepit_bridge-.*-py3-none-any\.whl",
        r"snakepit_bridge-.*\.tar\.gz",
    ):
        if not any(re.fullmatch(pattern, name) for name in names):
            yield f"missing: {pattern}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--release", action="store_true")
    arguments = parser.parse_args()

    checkout = Checkout()
    distributions = sorted(
        path for path in arguments.folder.iterdir() if path.name.endswith((".whl", ".tar.gz"))
    )
    faults = [] if distributions else [f"{arguments.folder}: no distributions"]
    for path in distributions:
        if path.suffix == ".whl":
            found = [*wheel_faults(path, checkout, release=arguments.release)]
        else:
            found = [*sdist_faults(path, checkout)]
        print(f"{path.stat().st_size:>9,} bytes  {path.name}")
        faults += [f"{path.name}: {fault}" for fault in found]
    if arguments.release:
        faults += set_faults([path.name for path in distributions])
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
