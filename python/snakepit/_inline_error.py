"""Errors of an inline pool's tools: of what the SDK reports, without a wire in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakepit import _core
from snakepit.errors import RemoteError, remote_error

if TYPE_CHECKING:
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


def _travelled(arguments: list[Any] | None) -> tuple[Any, ...] | None:
    if arguments is None:
        return None
    try:
        return tuple(_core.decode(_core.encode(arguments, "args"), "args"))
    except Exception:
        return None
