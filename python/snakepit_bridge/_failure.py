"""An exception as data: what travels to the host instead of a pickled object.

Starts at the adapter's own code; the SDK's frames above it would only hide the cause.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ._native import Failure

LIMIT = 64 * 1024
"""Bytes of a message or a traceback, in UTF-8. The middle of a longer one is cut."""

_OUR_FOLDER = os.path.join(os.path.dirname(__file__), "")


def describe(
    kind: type[BaseException], value: BaseException, traceback: TracebackType | None
) -> Failure:
    """Type name, message and traceback text of an exception, its causes and groups included.

    Never raises, whatever the exception's own methods do.
    """
    try:
        return _clip(_type_name(kind), 1024), _clip(_message(value), LIMIT), _text(value, traceback)
    except BaseException as broken:
        # For instance MemoryError or RecursionError, while the exception was being described.
        return (
            getattr(kind, "__name__", "Exception"),
            f"<the exception could not be described: {broken.__class__.__name__}>",
            "",
        )


def _type_name(kind: type[BaseException]) -> str:
    module = "__main__" if kind.__module__ == "__snakepit_main__" else kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _message(value: BaseException) -> str:
    try:
        return str(value)
    except BaseException as broken:
        return f"<str() of the exception raised {broken.__class__.__name__}>"


def _text(value: BaseException, traceback: TracebackType | None) -> str:
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    try:
        from traceback import format_exception

        text = "".join(format_exception(value.__class__, value, traceback))
        return _clip(text + _hosts_part(value), LIMIT)
    except BaseException:
        # No descriptor is left for the import, say: the places alone.
        return _clip("".join(_places(traceback)), LIMIT)


def _hosts_part(value: BaseException) -> str:
    """Where a function of the host raised what nobody has caught: the fault is there, not here."""
    from .errors import HostToolError

    if not isinstance(value, HostToolError) or not value.traceback:
        return ""
    return f"\nIn the host tool {value.tool!r}:\n{value.traceback}"


def own_frames(value: BaseException) -> str:
    """The traceback of ``value`` alone, without what caused it and what a group holds."""
    traceback = value.__traceback__
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    try:
        from traceback import format_tb

        frames = "".join(format_tb(traceback))
    except BaseException:
        return "".join(_places(traceback))
    return f"Traceback (most recent call last):\n{frames}"


def _places(traceback: TracebackType | None) -> Iterator[str]:
    yield "Traceback (most recent call last), without its lines:\n"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield f'  File "{code.co_filename}", line {traceback.tb_lineno}, in {code.co_name}\n'
        traceback = traceback.tb_next


def _is_ours(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_OUR_FOLDER)


def _clip(text: str, limit: int) -> str:
    # Lone surrogates cannot travel: shown as escapes.
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    note = f"\n… {len(data) - limit} bytes are left out here …\n"
    half = (limit - len(note.encode())) // 2
    return data[:half].decode(errors="ignore") + note + data[-half:].decode(errors="ignore")
