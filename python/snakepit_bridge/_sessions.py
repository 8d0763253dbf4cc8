"""The sessions that have run in a worker: what is kept for each, and how it ends.

.. code-block:: text

    first call here ──begin──▶ known ──state──▶ a dict, made at first use
                                 │
                                 └──end──▶ session_closed(session_id) of the adapter; dict dropped

A session is known by the number of its binding, its generation: an id that is used again after its
session has ended has another one. Ends come between calls: on the thread that runs tools, where
there is one.
"""

from __future__ import annotations

import os
import sys

from ._context import current
from ._failure import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


CLOSED_LIMIT = 30.0
"""Seconds that ``session_closed`` of an adapter may take. No call begins meanwhile, so a worker
whose hook never returned would never serve again, and nothing would tell."""


class EndedSession:
    """What ``session_context`` shows while ``session_closed`` runs: no call, but its session."""

    id = 0
    tool = ""
    session_new = False
    cancelled = False
    trace = None

    def __init__(self, sessions: Sessions, generation: int, session_id: str) -> None:
        self._sessions = sessions
        self.session_generation = generation
        self.session_id: str | None = session_id

    def session_metadata(self) -> dict[str, Any]:
        """Nothing: metadata come with calls."""
        return {}

    def session_state(self) -> dict[str, Any]:
        return self._sessions.state(self.session_generation)

    def remaining(self) -> float | None:
        return None

    def on_cancel(self, callback: Callable[[], object] | None) -> None:
        """Nobody cancels it."""

    def ask_host(
        self, name: str, arguments: dict[str, Any], streaming: bool, span: bytes | None = None
    ) -> NoReturn:
        raise RuntimeError(f"host tool {name!r}: its session has ended, and no call runs here")


class Sessions:
    """The sessions of one adapter."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[str]] = {}
        self._states: dict[int, dict[str, Any]] = {}
        self.closed: Callable[[str], object] | None = None
        """Tells the adapter that a session is over."""

    def begin(self, generation: int, session_id: str) -> bool:
        """Note that a call of the session runs here. True: it is the first one."""
        if generation in self._begun:
            return False
        ours = (session_id,)
        # One step, since several threads may be the first.
        return self._begun.setdefault(generation, ours) is ours

    def state(self, generation: int) -> dict[str, Any]:
        """What is kept for a session, the same dict in each of its calls."""
        if generation not in self._begun:
            # Somebody of a session that is over, in a thread of his own: nobody would drop it.
            return {}
        # One step, since several threads may be the first.
        return self._states.setdefault(generation, {})

    def end(self, generation: int) -> None:
        """Tell the adapter that a session is over, and drop what was kept for it."""
        begun = self._begun.get(generation)
        if begun is None:
            return
        (session_id,) = begun
        token = current.set(EndedSession(self, generation, session_id))
        try:
            if self.closed is not None:
                _bounded(self.closed, session_id)
        except BaseException as error:
            # Whoever closed the session waits for nothing: tell people.
            text = describe(type(error), error, error.__traceback__)[2]
            sys.stderr.write(f"session_closed({session_id!r}) of the adapter failed\n{text}")
        finally:
            current.reset(token)
            del self._begun[generation]
            self._states.pop(generation, None)

    def end_all(self) -> None:
        """End every session, since the worker does."""
        for generation in [*self._begun]:
            self.end(generation)


def _bounded(closed: Callable[[str], object], session_id: str) -> None:
    """Call the hook; where it takes too long, the worker ends, and another one serves."""
    from threading import Timer  # only adapters with that hook need it

    timer = Timer(CLOSED_LIMIT, _overdue, (session_id,))
    timer.daemon = True
    timer.start()
    try:
        closed(session_id)
    finally:
        timer.cancel()


def _overdue(session_id: str) -> None:
    sys.stderr.write(
        f"session_closed({session_id!r}) of the adapter has not returned for {CLOSED_LIMIT:g} s; "
        "this worker ends, since no call can begin in it\n"
    )
    sys.stderr.flush()
    os._exit(os.EX_SOFTWARE)


of_this_worker = Sessions()
"""Those of the adapter that this process is a worker for."""
