"""Failures as the line carries them: what the adapter's code raised, and what we refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit_bridge import _values

from . import messages

if TYPE_CHECKING:
    from snakepit_bridge._native import Detail, Report
    from snakepit_bridge._native import Failure as Told

# Bounds of the texts, in bytes: together less than what a frame may carry beside a value.
_MAX_NAME = 1024
_MAX_MESSAGE = 14 * 1024
_MAX_TRACEBACK = 44 * 1024
# Of what an exception is made of, for which its traceback makes room.
_MAX_DETAIL = 24 * 1024
_MAX_ARGUMENTS = 4 * 1024
_MARK = "\n[…]\n"


def plain(kind: int, type_name: str, message: str, **more: Any) -> Any:
    """A failure without a traceback: our own words."""
    return messages.Failure(
        kind=kind,
        type_name=_clip(type_name, _MAX_NAME),
        message=_clip(message, _MAX_MESSAGE),
        **more,
    )


def told(kind: int, texts: Told) -> Any:
    """A failure of the three texts that the SDK made of an exception."""
    type_name, message, traceback = texts
    return plain(kind, type_name, message, traceback=_clip(traceback, _MAX_TRACEBACK))


def reported(kind: int, report: Report) -> Any:
    """A failure of what the SDK made of an exception, with all that this is made of."""
    *texts, detail = report
    failure = messages.Failure()
    if detail is not None:
        _add_detail(failure, detail, [_MAX_ARGUMENTS])
        if failure.ByteSize() > _MAX_DETAIL:
            failure.Clear()
    type_name, message, traceback = texts
    failure.kind = kind
    room = _MAX_TRACEBACK - failure.ByteSize()
    failure.type_name = _clip(type_name, _MAX_NAME)
    failure.message = _clip(message, _MAX_MESSAGE)
    failure.traceback = _clip(traceback, room)
    return failure


def _add_detail(failure: Any, detail: Detail, room: list[int]) -> None:
    notes, cause, context, exceptions, listed, arguments = detail
    failure.notes.extend(notes)
    if cause is not None:
        _add_inner(failure.cause, cause, room)
    if context is not None:
        _add_inner(failure.context, context, room)
    for inner in exceptions:
        _add_inner(failure.exceptions.add(), inner, room)
    if listed is None:
        return
    setattr(failure, "class", listed)
    try:
        encoded = _values.encode(arguments, "args")
    except Exception:
        return  # it is what it is without them
    if len(encoded) <= room[0]:
        room[0] -= len(encoded)
        failure.arguments = encoded


def _add_inner(failure: Any, report: Report, room: list[int]) -> None:
    failure.kind = messages.EXCEPTION
    failure.type_name, failure.message, failure.traceback, detail = report
    if detail is not None:
        _add_detail(failure, detail, room)


def bare(kind: int, error: BaseException) -> Any:
    """What an exception is, without the SDK's help."""
    try:
        message = str(error)
    except BaseException:
        message = "(its message cannot be shown)"
    return plain(kind, type(error).__name__, message)


def add_second(failure: Any, second: Any) -> None:
    """Tell in ``failure`` what went wrong when it was dealt with, within the same bounds."""
    both = f"{failure.message}; closing it raised {second.type_name}: {second.message}"
    failure.message = _clip(both, _MAX_MESSAGE)
    failure.traceback = second.traceback


def unfit(error: BaseException) -> Any:
    """A value cannot travel: what and where, as the codec's error says it.

    An error without these fields (memory ran out) is what it is.
    """
    failure = bare(messages.ENCODE, error)
    type_name, path = getattr(error, "type_name", None), getattr(error, "path", None)
    if isinstance(type_name, str) and isinstance(path, str):
        failure.type_name, failure.path = _clip(type_name, _MAX_NAME), _clip(path, _MAX_NAME)
    return failure


def too_large(what: str, size: int, limit: int) -> Any:
    """The value is larger than what the host takes."""
    message = f"{what} takes {size} bytes, {limit} are allowed: raise max_message, or return less"
    return plain(messages.TOO_LARGE, "", message, size=size, limit=limit)


def _clip(text: str, most: int) -> str:
    """Cut out the middle: the head says what it is, the tail where it ended."""
    # An exception's text may hold lone surrogates (file names do), which cannot travel.
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return data.decode()
    half = (most - len(_MARK.encode())) // 2
    head, tail = data[:half], data[-half:]
    # A character that is cut in two is left out.
    return head.decode("utf-8", "ignore") + _MARK + tail.decode("utf-8", "ignore")
