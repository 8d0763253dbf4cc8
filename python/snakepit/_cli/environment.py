"""A virtual environment that ``snakepit setup`` made: whose it is, and what is put into it.

A file in it says that it is ours, from the first moment on, so that one that was interrupted is
finished and a folder of somebody else's is never touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from snakepit._cli.outcome import Failed

MARKER = "snakepit-setup.json"
_OLDEST = (3, 10)  # of workers
_NATIVE = (3, 11)  # for workers with the native end
_QUOTED = 15  # lines of a program that failed

Progress = Callable[[str], None]


class Interpreter(NamedTuple):
    """What a Python says of itself."""

    path: str
    base: str
    """The Python that an environment of it would be made from; not an environment itself."""
    version: str
    implementation: str
    free_threaded: bool
    venv: bool
    """Whether it can make virtual environments with pip."""

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split(".")[:2])

    @property
    def native(self) -> bool:
        """Whether the abi3 build can be loaded there."""
        fits = self.implementation == "cpython" and not self.free_threaded
        return fits and self.numbers >= _NATIVE


_ASK = """
import json, sys, sysconfig
try:
    import ensurepip, venv
    able = True
except ImportError:
    able = False
print(json.dumps([
    sys.executable,
    getattr(sys, "_base_executable", sys.executable),
    "%d.%d.%d" % sys.version_info[:3],
    sys.implementation.name,
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    able,
]))
"""


def ask(python: str) -> Interpreter:
    """Ask an interpreter what it is.

    Raises:
        Failed: It does not answer.
    """
    try:
        ended = subprocess.run(
            [python, "-I", "-c", _ASK], capture_output=True, text=True, check=False, timeout=60
        )
        return Interpreter(*json.loads(ended.stdout))
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired):
        raise Failed(f"{python} is no Python that answers", "name another with --python") from None


def refuse_unfit(found: Interpreter) -> None:
    """
    Raises:
        Failed: No environment for workers can be made from it.
    """
    if found.numbers < _OLDEST:
        raise Failed(
            f"{found.path} is Python {found.version}, and workers need 3.10 or newer",
            "name another with --python",
        )
    if not found.venv:
        major, minor = found.numbers
        raise Failed(
            f"{found.path} cannot make virtual environments: it lacks venv or ensurepip",
            f"apt install python{major}.{minor}-venv, or name another with --python",
        )


def requirement(found: Interpreter, version: str) -> str:
    """The SDK that belongs to this host, with what its end of the line needs there."""
    extra = "" if found.native else "[grpc]"
    return f"snakepit-bridge{extra}=={version}"


class Environment:
    """A folder that is ours, or is about to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def refuse_foreign(self, found: Interpreter) -> None:
        """
        Raises:
            Failed: The folder is somebody else's, or was made from another Python.
        """
        if self.folder.is_symlink():
            raise Failed(f"{self.folder} is a link", "name another folder with --dir")
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise Failed(f"{self.folder} is no folder", "name another with --dir")
        made = self._made()
        if made is None:
            if any(self.folder.iterdir()):
                raise Failed(
                    f"{self.folder} was not made by snakepit setup, and is not touched",
                    "name another folder with --dir",
                )
            return
        if (made.get("base"), made.get("version")) != (found.base, found.version):
            raise Failed(
                f"{self.folder} was made from {made.get('base')} {made.get('version')}, "
                f"not from {found.base} {found.version}",
                f"rm -r {self.folder}, or name another folder with --dir",
            )

    def _made(self) -> dict[str, object] | None:
        with contextlib.suppress(OSError, ValueError):
            made = json.loads((self.folder / MARKER).read_text())
            if isinstance(made, dict):
                return made
        return None

    @contextlib.contextmanager
    def claimed(self, found: Interpreter) -> Iterator[None]:
        """Ours, and nobody else's setup at work there, for a block.

        Raises:
            Failed: Another one is.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / MARKER, "a+") as marker:
            try:
                fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed(f"another snakepit setup is at work in {self.folder}") from None
            marker.truncate(0)
            marker.write(json.dumps({"base": found.base, "version": found.version}) + "\n")
            marker.flush()
            yield

    def make(self, found: Interpreter, progress: Progress) -> bool:
        """Make the virtual environment, unless it works already; whether it had to be."""
        if self._works():
            return False
        progress(f"making {self.folder} with Python {found.version}")
        # What is there of an interrupted one is written over; the marker is not part of it.
        _run([found.base, "-I", "-m", "venv", str(self.folder)], progress)
        return True

    def _works(self) -> bool:
        if not os.path.exists(self.python):
            return False
        ask_pip = [self.python, "-I", "-c", "import pip"]
        return subprocess.run(ask_pip, capture_output=True, check=False).returncode == 0

    def install(self, arguments: Sequence[str], progress: Progress) -> None:
        """Have the environment's own pip install that.

        Raises:
            Failed: It could not; quotes the end of what it said.
        """
        progress("installing " + " ".join(arguments))
        # -I: what PYTHONPATH and the user's own packages have is not in the environment.
        pip = [self.python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        try:
            _run([*pip, "install", *arguments], progress)
        except Failed as failure:
            if "No matching distribution found for snakepit-bridge" in failure.message:
                failure.remedy = "name the folder with its wheel: --find-links DIR"
            raise


def _run(command: Sequence[str], progress: Progress) -> None:
    """Run a program to its end, its last line as progress; whatever happens, none of it is left."""
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as program:
        assert program.stdout is not None
        try:
            for line in program.stdout:
                said.append(line.rstrip())
                progress(line.strip())
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            raise
    if program.returncode != 0:
        quoted = "\n".join(said[-_QUOTED:])
        raise Failed(f"{' '.join(command)} failed:\n{quoted}")
