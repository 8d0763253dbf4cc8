"""What every error of ``snakepit.errors`` does: it has fields, pickles, and tells its story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from snakepit._stats import WorkerRef


class SnakepitError(Exception):
    """Base of every error of this package.

    Args:
        message: One line for people.
        **fields: Values of the class's fields; an unknown name is a ``TypeError``.
    """

    __module__ = "snakepit.errors"  # where it is found by people and by pickle

    may_have_run: bool = False
    """Whether the tool may have started. ``False`` is a promise: calling again cannot repeat it."""

    _fields: ClassVar[frozenset[str]] = frozenset({"may_have_run"})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = (n for n, v in vars(cls).items() if n[0] != "_" and not hasattr(v, "__get__"))
        cls._fields = cls._fields.union(own)

    # Fields have defaults, so that unpickling may call ``cls(message)`` and restore the rest.
    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message)
        self._fill(fields)

    def _fill(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            if name == "worker" and type(value) is tuple:
                value = _worker_ref(value)
            setattr(self, name, value)

    @property
    def message(self) -> str:
        """The one line, without what the worker said."""
        return str(self.args[0]) if self.args else ""

    # Defined here also for the classes with a second base: KeyError prints its argument's repr.
    def __str__(self) -> str:
        worker = getattr(self, "worker", None)
        where = "the worker" if worker is None else f"worker {worker}"
        text = self.message
        said = getattr(self, "remote_traceback", None)
        if said and said.strip() not in text:  # one without frames would say the same again
            text += f"\n\nIn {where}:\n{said.rstrip()}"
        if said := getattr(self, "stderr", None):
            text += f"\n\nLast lines of {where} on stderr:\n{said.rstrip()}"
        return text


def _worker_ref(parts: tuple[str, int, int]) -> WorkerRef:
    # The native side raises by plain values; the class costs an import that only errors need.
    from snakepit._stats import WorkerRef

    return WorkerRef(*parts)
