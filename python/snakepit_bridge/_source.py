"""Finds the adapter's class: in a module, in the host's script, or in the host's ``-m`` module.

The host's main file runs here under the name ``__snakepit_main__``, so that its
``if __name__ == "__main__"`` block does not. It is ``sys.modules["__main__"]`` all the same, as
in children of multiprocessing.
"""

from __future__ import annotations

import sys
from types import ModuleType

from ._suggest import did_you_mean
from .errors import AdapterSourceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

MAIN = "__snakepit_main__"


def load(kind: str, location: str, qualname: str) -> type:
    """Import what holds the adapter and return its class.

    Args:
        kind: ``module``, ``script`` or ``main_module``.
        location: A module's name, or the path of a script.
        qualname: The class in it, dotted when nested.

    Raises:
        AdapterSourceError: The module, the file or the class does not exist.
        BaseException: Whatever the user's module raises while it is imported.
    """
    module = _LOADERS[kind](location)
    owner: Any = module
    for name in qualname.split("."):
        try:
            owner = getattr(owner, name)
        except AttributeError:
            raise AdapterSourceError(_no_class(module, owner, qualname, name)) from None
    if not isinstance(owner, type):
        raise AdapterSourceError(
            f"{qualname!r} of {_called(module)} is {_a(owner)}, not a class; name the adapter's "
            "class itself"
        )
    return owner


def _import(name: str) -> ModuleType:
    try:
        # Not importlib.import_module: its frames would stand on top of the user's traceback.
        __import__(name)
    except ModuleNotFoundError as missing:
        # A missing import of the user's own code is that code's failure, with its traceback.
        if not _is_part_of(missing, name):
            raise
        raise AdapterSourceError(_no_module(name, missing)) from None
    return sys.modules[name]


def _run_script(path: str) -> ModuleType:
    from _frozen_importlib_external import SourceLoader
    from io import open_code

    try:
        with open_code(path) as file:
            source = file.read()
    except OSError as error:
        raise AdapterSourceError(
            f"cannot read the script {path!r}: {error.strerror}. Put the adapter into a module "
            "that workers can import, and pass it as 'module:Class'"
        ) from None
    folder = path.rpartition("/")[0]
    # As `python script.py` does; a host's own sys.path has it already.
    if folder not in sys.path and not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)
    module = _main(path)
    # As modules are compiled: `_gil.share_constants` counts on it.
    _execute(SourceLoader().source_to_code(source, path), module)
    return module


def _run_module(name: str) -> ModuleType:
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except ModuleNotFoundError as missing:
        if not _is_part_of(missing, name):
            raise
        raise AdapterSourceError(_no_module(name, missing)) from None
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    code: CodeType | None = get_code(name) if get_code is not None else None
    if spec is None or code is None:
        raise AdapterSourceError(_no_module(name, None))
    module = _main(spec.origin or name)
    # Relative imports and pickles by the module's real name go by these.
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__package__ = spec.parent
    _execute(code, module)
    return module


_LOADERS: dict[str, Callable[[str], ModuleType]] = {
    "module": _import,
    "script": _run_script,
    "main_module": _run_module,
}


def _main(path: str) -> ModuleType:
    module = ModuleType(MAIN)
    module.__file__ = path
    sys.modules[MAIN] = sys.modules["__main__"] = module
    sys.argv[:1] = [path]
    return module


def _execute(code: CodeType, module: ModuleType) -> None:
    exec(code, module.__dict__)


def _is_part_of(missing: ModuleNotFoundError, name: str) -> bool:
    return missing.name is not None and f"{name}.".startswith(f"{missing.name}.")


def _no_module(name: str, missing: ModuleNotFoundError | None) -> str:
    from pkgutil import iter_modules

    part = (missing.name if missing is not None else None) or name
    parent, _, child = part.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    known = [m.name for m in iter_modules(path)] if path is not None or not parent else []
    return (
        f"no module named {part!r} can be imported in the worker "
        f"({sys.executable}).{_without_py(name) or did_you_mean(child, known)}{_searched()}"
    )


def _without_py(name: str) -> str:
    module = name.removesuffix(".py")
    return f" A module is named without '.py': {module!r}." if module != name else ""


def _searched() -> str:
    """Where it was looked for, in words that are true of a host in any language."""
    import os

    here = os.getcwd()
    places = [os.path.abspath(entry) for entry in sys.path]
    text = f" The worker searched the {len(places)} entries of its sys.path"
    if gone := [place for place in places if not os.path.exists(place) and not _is_usual(place)]:
        text += f", of which these do not exist: {', '.join(map(repr, gone))}"
    if here in places:
        return text + ". The pool's pythonpath adds folders to it"
    return text + (
        f", and the working directory is none of them; the pool's pythonpath adds it: "
        f'pythonpath=["{here}"]'
    )


def _is_usual(place: str) -> bool:
    # Every interpreter lists its standard library as an archive, which hardly one has.
    return place.endswith(".zip") and place.startswith((sys.prefix, sys.base_prefix))


def _no_class(module: ModuleType, owner: object, qualname: str, name: str) -> str:
    classes = [n for n, value in getattr(owner, "__dict__", {}).items() if isinstance(value, type)]
    hint = did_you_mean(name, classes)
    if module.__name__ == MAIN:
        hint += (
            ' What stands under `if __name__ == "__main__":` does not exist in workers; define '
            "the class above it"
        )
    return f"{_called(module)} has no class {qualname!r}.{hint}"


def _called(module: ModuleType) -> str:
    if module.__name__ == MAIN:
        return f"the script {module.__file__!r}"
    return f"the module {module.__name__!r} ({getattr(module, '__file__', 'built in')})"


def _a(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[:1] in "aeiou" else f"a {name}"
