"""The worker's interpreter, and what it can import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from snakepit import _core
from snakepit.errors import ConfigError, StartError


def interpreter(python: str | os.PathLike[str] | None, *, shim: bool = False) -> str:
    """Return the absolute path of the interpreter that ``python`` names.

    Args:
        python: ``None`` for this process's own, a file, a name looked up in ``PATH``, or the
            directory of a virtual environment.
        shim: It makes the shim alone, since the worker is a program of another language.

    Raises:
        ConfigError: ``python`` is empty.
        StartError: There is no such file, or it cannot be executed.
    """
    named = sys.executable if python is None else os.fspath(python)
    if not named and python is not None:
        raise ConfigError(
            "python: is empty; name an interpreter, or leave it out for this process's own",
            field="python",
        )
    wanted = os.path.expanduser(named)
    use = "; it runs the shim of a Program, for which this process's own will do" if shim else ""
    if not wanted:
        raise StartError(
            "this program does not know its own interpreter (sys.executable is empty); name one "
            "with python=",
            reason="no interpreter",
        )
    # Links are kept: a virtual environment is known by the link, not by what it points to.
    found = os.path.abspath((os.sep not in wanted and _in_path(wanted)) or wanted)
    if os.path.isdir(found):
        found = os.path.join(found, "bin", "python")
    if not os.path.isfile(found):
        raise StartError(
            f"python: there is no interpreter {found}; make one with "
            f"`python3 -m venv {_environment_of(wanted)}` or name another with python={use}",
            reason="interpreter missing",
        )
    if not os.access(found, os.X_OK):
        raise StartError(
            f"python: {found} cannot be executed; mend it with `chmod +x {found}` or name "
            f"another{use}",
            reason="interpreter not executable",
        )
    return found


def _in_path(name: str) -> str | None:
    import shutil  # It brings every compressor: 5 ms that most hosts need not spend.

    return shutil.which(name)


def _environment_of(wanted: str) -> str:
    folder, name = os.path.split(wanted)
    if os.path.basename(folder) == "bin" and name.startswith("python"):
        return os.path.dirname(folder)
    return ".venv"


def is_own(python: str) -> bool:
    """Whether ``python`` is this process's interpreter, in the same environment."""
    own = os.path.abspath(sys.executable) if sys.executable else ""
    same_folder = os.path.dirname(own) == os.path.dirname(python)
    return own == python or (same_folder and os.path.realpath(own) == os.path.realpath(python))


def import_path(python: str, pythonpath: Iterable[str]) -> list[str]:
    """Return the worker's whole ``sys.path``, or nothing where the interpreter's own is right.

    A worker of the same interpreter sees what this process sees. Another one brings a standard
    library and packages of its own; there ``pythonpath`` travels in the environment.
    """
    if not is_own(python):
        return []
    own = [os.path.abspath(entry) for entry in sys.path]
    return list(dict.fromkeys([*pythonpath, *own]))


def directories(pythonpath: Iterable[object]) -> list[str]:
    """Return the entries of the parameter ``pythonpath`` as absolute paths."""
    entries = [pythonpath] if isinstance(pythonpath, str | os.PathLike) else list(pythonpath)
    paths = []
    for entry in entries:
        if not isinstance(entry, str | os.PathLike):
            raise ConfigError(
                f"pythonpath: a directory is needed, not {entry!r}", field="pythonpath"
            )
        paths.append(os.path.abspath(os.path.expanduser(os.fspath(entry))))
    return paths


def boot_arguments(bridge: str, line: str, command: Sequence[str]) -> list[str]:
    """Return what makes the interpreter a worker, or the shim of the worker that ``command`` is."""
    return ["-S", os.path.join(bridge, "boot.py"), line, _core.__file__, *command]


def bridge_directory() -> str:
    """Return the directory of the adapter SDK, for interpreters that do not have it."""
    try:
        import snakepit_bridge
    except ImportError as error:
        raise StartError(
            "the package snakepit_bridge is missing; mend it with "
            f"`{sys.executable} -m pip install snakepit-bridge`",
            reason="SDK missing",
        ) from error
    return os.path.dirname(os.path.abspath(snakepit_bridge.__file__))
