"""Errors of an inline pool's tools: of what the SDK reports, without a wire in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit import _core
from snakepit.errors import RemoteError, ToolNotFound, remote_error
from snakepit_bridge._suggest import closest, is_unmarked

if TYPE_CHECKING:
    from snakepit_bridge._lifecycle import LiveAdapter
    from snakepit_bridge._native import Report


def raised(report: Report, prefix: str = "", **fields: Any) -> RemoteError:
    """Build the error that a worker's host would raise for this report.

    Args:
        report: What the SDK says of the exception.
        prefix: What its message starts with.
        **fields: Of ``RemoteError``: the call's.
    """
    type_name, message, traceback, detail = report
    more: dict[str, Any] = {}
    if detail is not None:
        notes, cause, context, members, listed, arguments = detail
        inner = {**fields, "is_inner": True}
        more = {
            "notes": notes,
            "cause": cause and raised(cause, **inner),
            "context": context and raised(context, **inner),
            "exceptions": [raised(member, **inner) for member in members],
            "listed": listed,
            "remote_args": _travelled(arguments),
        }
    return remote_error(
        f"{prefix}{type_name}: {message}",
        type_name=type_name,
        remote_message=message,
        remote_traceback=traceback,
        diagnosis=_core.diagnose(type_name, message),
        **more,
        **fields,
    )


def unknown(tool: str, live: LiveAdapter) -> ToolNotFound:
    """Build the error of a call of a tool that the adapter does not have."""
    close = closest(tool, live.tools)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    if is_unmarked(type(live.adapter), tool):
        hint = "; it is a method of the adapter that is not marked with @tool"
    return ToolNotFound(f"{tool}: no such tool{hint}", tool=tool, suggestions=close)


def misused(tool: str, streams: bool) -> TypeError:
    """Build the exception of a tool that ``streams`` and was executed, or the other way round."""
    mend = (
        "streams its results: use execute_stream"
        if streams
        else "does not stream: use execute, or declare it with @tool(supports_streaming=True)"
    )
    return TypeError(f"tool {tool!r} {mend}")


def below(error: BaseException, file: str) -> Any:
    """The traceback of ``error`` without what is of ``file`` before the adapter's own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == file:
        trace = trace.tb_next
    return trace


def _travelled(arguments: list[Any] | None) -> tuple[Any, ...] | None:
    if arguments is None:
        return None
    try:
        return tuple(_core.decode(_core.encode(arguments, "args"), "args"))
    except Exception:
        return None
