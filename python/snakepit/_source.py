"""Where a worker finds the adapter's class.

A class does not travel; a worker imports it anew. So a class is turned into the way to it:

.. code-block:: text

    "module:Class", class of an imported module   module       import the module
    class of the running script                   script       run the file as __snakepit_main__
    class of a program run with -m                main_module  run that module as __snakepit_main__
    class from -c, stdin, a REPL, a notebook,
    or from inside a function                     AdapterSourceError: no file leads to it
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from snakepit.errors import AdapterSourceError, ConfigError

if TYPE_CHECKING:
    from types import ModuleType

# Names under which the program itself may be in sys.modules; the last one inside a worker.
_MAIN_NAMES = ("__main__", "__mp_main__", "__snakepit_main__")

_GUARD = """\
this script makes a pool while a worker runs it to find the adapter's class. Guard what only the \
program itself should do:

    if __name__ == "__main__":
        with snakepit.Pool(MyAdapter, size=4) as pool:
            ...
"""


class AdapterSource(NamedTuple):
    """Way of a worker to the adapter's class."""

    kind: str
    """``"module"``, ``"script"``, ``"main_module"`` or ``"program"``."""
    location: str
    """Name of the module, or absolute path of the script."""
    qualname: str
    """Dotted name of the class in there."""
    command: tuple[str, ...] = ()
    """The program and its arguments where ``kind`` is ``"program"``."""


class Program:
    """A worker in any language: a program that speaks the protocol (``docs/protocol.md``).

    It has its tools itself; ``adapter_args`` reach it too. Use it where an adapter is wanted::

        snakepit.Pool(snakepit.Program("node", "worker.js"), size=2)

    Args:
        program: A file, or a name looked up in ``PATH``.
        arguments: Its arguments.
    """

    __slots__ = ("arguments", "program")

    def __init__(self, program: str | os.PathLike[str], *arguments: str | os.PathLike[str]) -> None:
        self.program = _word(program)
        self.arguments = tuple(map(_word, arguments))

    def __repr__(self) -> str:
        return f"Program({', '.join(map(repr, (self.program, *self.arguments)))})"


def _word(word: object) -> str:
    text = os.fspath(word) if isinstance(word, os.PathLike) else word
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigError(
            f"adapter: a command is words, each a string without NUL, not {word!r}", field="adapter"
        )
    return text


def adapter_source(adapter: object, *, inline: bool = False) -> AdapterSource:
    """Find the way to ``adapter``.

    Args:
        adapter: What the user gave.
        inline: The adapter is for this process, which needs no way to a class that it has.

    Raises:
        ConfigError: It is neither a class nor a string ``"module:Class"`` nor a ``Program``, or
            that program is missing.
        AdapterSourceError: No worker could find that class, or this very process is a worker that
            runs the program's main file only to find it.
    """
    _refuse_unguarded_script()
    if isinstance(adapter, Program):
        return _from_program(adapter, inline)
    if isinstance(adapter, str):
        return _from_text(adapter)
    if isinstance(adapter, type):
        place = AdapterSource("inline", adapter.__module__, adapter.__qualname__)
        return place if inline else _from_class(adapter)
    raise ConfigError(
        f'adapter: a class or a string "module:Class" is needed, not {adapter!r}', field="adapter"
    )


def _from_program(adapter: Program, inline: bool) -> AdapterSource:
    if inline:
        raise ConfigError(
            "inline: a program cannot run inside this process; leave inline out", field="inline"
        )
    try:
        found = find_program(adapter.program)
    except LookupError as error:
        raise ConfigError(f"adapter: {error}", field="adapter") from None
    return AdapterSource("program", "", "", (found, *adapter.arguments))


def find_program(program: str) -> str:
    """Return the absolute path of what a command's first word names.

    Raises:
        LookupError: It names nothing that can be executed; says what it is instead.
    """
    import shutil  # It brings every compressor; see _interpreter.

    wanted = os.path.expanduser(program)
    found = wanted if os.sep in wanted else shutil.which(wanted)
    if found is None or not os.path.exists(found):
        words = wanted.split()
        apart = f"; pass its words one by one: {', '.join(map(repr, words))}" if words[1:] else ""
        where = "in PATH" if found is None else "there"
        raise LookupError(f"there is no program {wanted} {where}{apart}")
    if os.path.isdir(found):
        raise LookupError(f"{wanted} is a folder, not a program")
    if not os.access(found, os.X_OK):
        raise LookupError(f"{wanted} cannot be executed; mend it with `chmod +x {wanted}`")
    return os.path.abspath(found)


def _refuse_unguarded_script() -> None:
    worker = sys.modules.get("snakepit_bridge._worker")
    if getattr(worker, "loading_main", False):
        raise AdapterSourceError(_GUARD, reason="unguarded script")


def _refuse_own_module(module: str) -> None:
    # Its workers would import the module too and make a pool each, without end.
    worker = sys.modules.get("snakepit_bridge._worker")
    if module == getattr(worker, "loading_module", None):
        raise AdapterSourceError(_GUARD, reason="unguarded module")


def _from_text(text: str) -> AdapterSource:
    module, colon, qualname = text.partition(":")
    if not (colon and _is_dotted(module) and _is_dotted(qualname)):
        if not text:
            raise ConfigError(
                'adapter: is empty; name the class as "module:Class"',
                field="adapter",
                suggestion="module:Class",
            )
        guess = _guess(text)
        raise ConfigError(
            f'adapter: {text!r} has not the form "module:Class"; did you mean "{guess}"?',
            field="adapter",
            suggestion=guess,
        )
    if module in _MAIN_NAMES:
        return _from_main(sys.modules[module], qualname)
    _refuse_own_module(module)
    return AdapterSource("module", module, qualname)


def _guess(text: str) -> str:
    left, _, right = text.partition(":")
    if _is_dotted(left) and not right:
        module, _, name = left.rpartition(".")
        if module and name != "py":
            return f"{module}:{name}"
        # By the usual spelling, a class's name begins with a capital.
        return f"module:{left}" if left[0].isupper() else f"{module or left}:Class"
    return "module:Class"


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _from_class(adapter: type) -> AdapterSource:
    name, qualname = adapter.__module__, adapter.__qualname__
    if "<locals>" in qualname:
        raise AdapterSourceError(
            f"adapter: class {qualname} is made inside a function, where no worker can find it; "
            "move it to the top level of its module",
            reason="local class",
        )
    module = sys.modules.get(name)
    if module is None or _attribute(module, qualname) is not adapter:
        raise AdapterSourceError(
            f"adapter: module {name} has no class {qualname} that is this one; workers find an "
            "adapter by its module and its name",
            reason="unreachable class",
        )
    if name in _MAIN_NAMES:
        return _from_main(module, qualname)
    if getattr(module, "__spec__", None) is None:
        raise AdapterSourceError(
            f"adapter: module {name} was made at run time and cannot be imported by a worker; "
            "put the class into a file",
            reason="module without a file",
        )
    _refuse_own_module(name)
    return AdapterSource("module", name, qualname)


def _attribute(module: ModuleType, qualname: str) -> object:
    found: object = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _from_main(main: ModuleType, qualname: str) -> AdapterSource:
    spec = getattr(main, "__spec__", None)
    # `python folder/` and `python app.pyz` set the bare spec name __main__: no module of that name.
    if spec is not None and spec.name not in _MAIN_NAMES:
        return AdapterSource("main_module", spec.name, qualname)
    path = getattr(main, "__file__", None)
    if path is not None and os.path.isfile(path):
        return AdapterSource("script", os.path.abspath(path), qualname)
    raise AdapterSourceError(
        f"adapter: class {qualname} comes from -c, from stdin or from an interactive session, and "
        "no worker can find it there; put it into a file my_adapters.py and use "
        f'"my_adapters:{qualname}", or run it in this process with inline=True',
        reason="no file",
    )
