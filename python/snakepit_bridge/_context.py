"""Which call is running here, and what an adapter may know about it.

``current`` is set by the end of the line around every step of a tool, on the thread that runs it;
``_loop`` carries it into coroutines. It is a context variable, so overlapping coroutines and
threads each see their own call.
"""

from __future__ import annotations

from contextvars import ContextVar

from ._host_tools import HostToolMethods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native import Call, Outlet

current: ContextVar[Call | None] = ContextVar("snakepit_call", default=None)
trace_id: ContextVar[str | None] = ContextVar("snakepit_trace_id", default=None)
"""The trace that runs here, 32 hexadecimal digits, where it is another one than the call's."""

outlet: Outlet | None = None
"""Where telemetry leaves for the host; set before an adapter is loaded. None: it does not, here.

Not in ``telemetry``, which a worker need not import whose adapter tells nothing.
"""


class SessionContext(HostToolMethods):
    """The running call, as an adapter sees it: ``self.session_context``.

    Exists outside of calls too, for instance in ``initialize``; everything is then neutral.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call | None = None) -> None:
        self._call = call

    @property
    def session_id(self) -> str | None:
        """The caller's session id; None when the call belongs to no session."""
        return self._call.session_id if self._call is not None else None

    @property
    def is_new(self) -> bool:
        """True in the first call of this session on this worker: no state of it exists here yet."""
        return self._call.session_new if self._call is not None else False

    @property
    def state(self) -> dict[str, Any]:
        """What this worker keeps for the session: one dict for all its calls here, empty at first.

        It is dropped when the session is closed or has expired; see ``BaseAdapter.session_closed``.

        Raises:
            RuntimeError: The call belongs to no session, so nothing would ever drop it.
        """
        call = self._call
        if call is None or call.session_id is None:
            raise RuntimeError(
                "session_context.state: this call belongs to no session; make it with "
                'pool.session("…").execute(…) or execute(…, session="…")'
            )
        return call.session_state()

    @property
    def metadata(self) -> dict[str, Any]:
        """What the host gave to ``pool.session(…, metadata=…)``: a copy, empty where nothing."""
        return self._call.session_metadata() if self._call is not None else {}

    @property
    def generation(self) -> int:
        """Number of the session's binding to this worker; 0 outside of a session."""
        return self._call.session_generation if self._call is not None else 0

    @property
    def cancelled(self) -> bool:
        """True once the host cancelled this call; a long tool should look and return early."""
        return self._call.cancelled if self._call is not None else False

    def remaining(self) -> float | None:
        """Seconds until the call's deadline; 0.0 when it has passed, None when there is none."""
        return self._call.remaining() if self._call is not None else None

    def __repr__(self) -> str:
        return f"SessionContext(session_id={self.session_id!r}, is_new={self.is_new})"
