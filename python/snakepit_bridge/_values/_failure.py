"""Why a value could not be encoded or decoded, and where inside it.

Nothing here costs anything on the good path: each container adds its own segment of the path while
the stack unwinds, and texts are made only when the error is.
"""

from __future__ import annotations

from typing import Any

from snakepit_bridge.errors import DecodeError, EncodeError

KEY_TEXT = 60
"""Longest text of one key in a path, in characters."""
PATH_ENDS = 8
"""Segments that a path shows at either end; a cycle makes long ones."""


class Refused(Exception):  # noqa: N818 (never leaves this package)
    """One way out of the walks; ``encode_error`` and ``decode_error`` make it a public error.

    Args:
        what: What is wrong and what to do. Empty where Python raised and ``cause`` tells it: then
            ``of`` or ``during`` says later what was being done.
        cause: The exception of other code that is the reason.
    """

    def __init__(self, what: str, cause: Exception | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.type_name: str | None = None
        self.is_refusal = False
        self._path: list[str] = []  # innermost segment first

    @classmethod
    def by(cls, error: Exception) -> Refused:
        """``error`` as a refusal, which it may be already."""
        return error if isinstance(error, cls) else cls("", error)

    @classmethod
    def refusal(cls, what: str) -> Refused:
        """A value of a type that does not travel: something else may be sent instead of it."""
        refused = cls(what)
        refused.is_refusal = True
        return refused

    def of(self, value: object) -> Refused:
        """Blame a value that was being encoded, unless something inside it has been blamed."""
        if self.type_name is None:
            self.type_name = type_name(value)
            self.during(f"cannot encode {self.type_name}")
        return self

    def during(self, what: str) -> Refused:
        """Say what was being done when Python raised, where nothing has said so yet."""
        self.what = self.what or what
        return self

    def at_key(self, key: object) -> Refused:
        self._path.append(f"[{_key_text(key)}]")
        return self

    def at_index(self, index: int) -> Refused:
        self._path.append(f"[{index}]")
        return self

    def encode_error(self, root: str) -> Exception:
        """The error to raise: the cause itself where Python wants out."""
        if isinstance(self.cause, MemoryError):
            return self.cause
        path = self._path_text(root)
        error = EncodeError(self._message(path), path=path, type_name=self.type_name or "")
        error.__cause__ = self.cause
        return error

    def decode_error(self, root: str) -> Exception:
        """The error to raise: the cause itself where Python wants out."""
        if isinstance(self.cause, MemoryError):
            return self.cause
        path = self._path_text(root)
        error = DecodeError(self._message(path), path=path)
        error.__cause__ = self.cause
        return error

    def _message(self, path: str) -> str:
        if self.cause is None:
            return f"{path}: {self.what}"
        return f"{path}: {self.what}: {_told(self.cause)}"

    def _path_text(self, root: str) -> str:
        segments = self._path[::-1]
        if len(segments) > 2 * PATH_ENDS:
            segments[PATH_ENDS:-PATH_ENDS] = ["…"]
        return root + "".join(segments)


def type_name(value: object) -> str:
    """``datetime.date`` or ``list``: as a reader would write it in code."""
    kind: Any = type(value)
    try:
        module, name = kind.__module__, kind.__qualname__
    except Exception:  # of a metaclass
        return "object of an unnamed type"
    if not isinstance(module, str):
        return "object of an unnamed type"
    return str(name) if module in ("builtins", "__main__") else f"{module}.{name}"


def _told(error: Exception) -> str:
    name = type(error).__qualname__
    try:
        return f"{name}: {_lossy(str(error))}"
    except Exception:
        return f"{name}: <exception str() failed>"


def _key_text(key: object) -> str:
    """Double quotes for text, as in the JSON that people compare it with; else Python's repr."""
    if issubclass(type(key), str):
        text = f'"{"".join(map(_shown, _lossy(key)))}"'
    else:
        try:
            text = _lossy(repr(key))
        except Exception:  # an int of more than 4300 digits has none
            text = f"<{type_name(key)}>"
    return text if len(text) <= KEY_TEXT else f"{text[:KEY_TEXT]}…"


def _shown(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    is_control = character < " " or "\x7f" <= character <= "\x9f"
    return f"\\u{ord(character):04x}" if is_control else character


def _lossy(text: Any) -> str:
    """Without lone surrogates, which cannot travel. By the type: a key may override its methods."""
    return str.encode(text, "utf-8", "surrogatepass").decode("utf-8", "replace")
