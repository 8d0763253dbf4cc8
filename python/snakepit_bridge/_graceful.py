"""What is sent instead of a value that cannot travel, where a pool wants no error.

What the value says itself, by the first of ``model_dump``, ``to_dict``, ``_asdict``, ``tolist`` and
``isoformat`` that its type has; else a marker, a dict that names the type:

.. code-block:: text

    {"__ffi_unserializable__": True, "__type__": "my_app.Socket"}

A text of the value is in it, as ``__repr__``, only where the pool asks for that, since it may hold
secrets.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARKER = "__ffi_unserializable__"
TYPE = "__type__"
REPR = "__repr__"

DETAILS = ("none", "type", "repr_truncated", "repr_redacted_truncated")

_SELF_DESCRIBING = ("model_dump", "to_dict", "_asdict")
_MARGIN = 64 * 1024
"""Characters of a text that are searched for secrets behind those that are shown."""


class Substitute:
    """Makes of a value that cannot travel something that can, or that has its own substitute.

    Args:
        detail: What a marker says as ``__repr__``. ``none``: nothing. ``type``: the type once more.
            ``repr_truncated``: the beginning of ``repr()``. ``repr_redacted_truncated``: that,
            without what looks like a secret.
        max_repr: Characters of it.
        max_elements: An array of more elements becomes no list.
    """

    def __init__(
        self, detail: str = "none", max_repr: int = 500, max_elements: int = 1_000_000
    ) -> None:
        self._detail = detail
        self._max_repr = max_repr
        self._max_elements = max_elements

    def __call__(self, value: object) -> Any:
        # By the type: an object that has an answer to every name means none of these.
        kind: Any = type(value)
        for name in _SELF_DESCRIBING:
            converted = _call(kind, name, value)
            if converted is not value:
                return converted
        if _has(kind, "tolist") and self._may_list(value):
            converted = _call(kind, "tolist", value)
            if converted is not value and not _has_more(converted, self._max_elements):
                return converted
        converted = _call(kind, "isoformat", value)
        return self._marker(value) if converted is value else converted

    def _may_list(self, value: Any) -> bool:
        """Before it is made: the list of a sparse array may be some thousand times its size."""
        try:
            elements = 1
            for length in value.shape:
                elements *= int(length)
        except Exception:
            return True  # it has no shape: it is counted when it is there
        return elements <= self._max_elements

    def _marker(self, value: object) -> dict[str, Any]:
        name = _type_name(value)
        marker = {MARKER: True, TYPE: name}
        if self._detail == "type":
            marker[REPR] = f"<unserializable {name}>"
        elif self._detail in ("repr_truncated", "repr_redacted_truncated"):
            marker[REPR] = self._repr(value, name)
        return marker

    def _repr(self, value: object, name: str) -> str:
        try:
            text = repr(value)
        except Exception as error:
            return f"<repr of {name} raised {type(error).__name__}>"[: self._max_repr]
        text = text[: self._max_repr + _MARGIN]
        if self._detail == "repr_redacted_truncated":
            # Before it is cut: half a secret is not seen to be one.
            from ._redaction import redact

            text = redact(text)
        # Lone surrogates cannot travel.
        return text[: self._max_repr].encode("utf-8", "backslashreplace").decode()


def _call(kind: Any, name: str, value: object) -> Any:
    """What the method makes of ``value``; itself where there is none, or it fails."""
    try:
        method = getattr(kind, name, None)
        return method(value) if callable(method) else value
    except Exception:  # MemoryError too: a list takes more than an array
        return value


def _has(kind: Any, name: str) -> bool:
    try:
        return callable(getattr(kind, name, None))
    except Exception:  # of a metaclass
        return False


def _has_more(items: object, limit: int) -> bool:
    """Whether there are more than ``limit`` items in a list and the lists in it."""
    if not isinstance(items, list):
        return False
    count, lists = 0, [items]
    while lists:
        inner = lists.pop()
        nested = [item for item in inner if isinstance(item, list)]
        count += len(inner) - len(nested)
        if count > limit:
            return True
        lists += nested
    return False


def _type_name(value: object) -> str:
    kind: Any = type(value)
    try:
        module, name = kind.__module__, kind.__qualname__
    except Exception:  # of a metaclass
        return "object"
    module = "__main__" if module == "__snakepit_main__" else module
    # Made at run time, a class may have any name.
    return f"{module}.{name}".encode("utf-8", "backslashreplace").decode()
