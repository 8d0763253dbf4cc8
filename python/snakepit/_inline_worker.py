"""The one worker of an inline pool: its adapter, made when it is needed first, and how it fares."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from snakepit._inline_error import below
from snakepit.errors import AdapterSourceError, StartError
from snakepit_bridge._adapter import WorkerInfo
from snakepit_bridge._failure import describe
from snakepit_bridge._lifecycle import LiveAdapter
from snakepit_bridge._source import load
from snakepit_bridge.errors import AdapterSourceError as MissingSource

if TYPE_CHECKING:
    from snakepit import _core
    from snakepit._config import PoolConfig
    from snakepit._inline_counts import InlineCounts
    from snakepit._inline_outlet import InlineOutlet
    from snakepit._inline_sessions import InlineSessions


class InlineWorker:
    """What a process is to other pools; each adapter that is made is a generation of it."""

    def __init__(
        self,
        config: PoolConfig,
        adapter: str | type,
        sessions: InlineSessions,
        outlet: InlineOutlet,
        counts: InlineCounts,
    ) -> None:
        self._config = config
        self._source = adapter
        self._sessions = sessions
        self._outlet = outlet
        self._counts = counts
        self._pid = os.getpid()
        self.live: LiveAdapter | None = None
        """The adapter; ``None``: there is none yet, or none any more."""
        self.generation = 0

    def start(self) -> LiveAdapter:
        """Make the adapter.

        Raises:
            AdapterSourceError: Its class is not where it should be.
            StartError: Its module or its ``__init__`` raised.
        """
        live = self._made()
        self.generation += 1
        self.live = live
        self._sessions.serve(self.generation, live.session_closed)
        self._counts.declare([row[0] for row in live.listing])
        return live

    def _made(self) -> LiveAdapter:
        name, source = self._config.name, self._source
        place = WorkerInfo(name, 0, self.generation + 1)
        self._outlet.connect()
        try:
            if isinstance(source, str):
                module, _, qualname = source.partition(":")
                source = load("module", module, qualname)
            return LiveAdapter(source, self._config.adapter_args, place)
        except MissingSource as error:
            raise AdapterSourceError(
                f"pool {name}: {error}", pool=name, reason="adapter missing"
            ) from None
        except (Exception, SystemExit) as error:
            kind, message, text = describe(type(error), error, below(error, __file__))
            raise StartError(
                f"pool {name}: the adapter cannot start: {kind}: {message}",
                pool=name,
                worker=(name, 0, place.generation),
                reason=kind,
                remote_traceback=text,
            ) from error

    def end(self) -> None:
        """Have the adapter clean up, where there is one; the next call makes another."""
        live, self.live = self.live, None
        self._sessions.lose_worker()
        if live is not None:
            live.cleanup()

    def info(self) -> _core._Info:
        """What it runs in."""
        # Whatever the profile: one call at a time, on the caller's thread.
        gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        python = (sys.version.split()[0], gil, None)
        return ("process", 1, [(0, self.generation, 0, python, [])])

    def health(self) -> _core._Health:
        """Whether it is there; that is all that can be wrong."""
        live = self.live is not None
        # What runs in the caller's thread neither crashes alone nor stalls unseen.
        name = "ready" if live else "starting"
        facts = (0, self.generation, name, live, live, live, 0.0, None, 0, None)
        return ("healthy" if live else "unhealthy", [facts], 0, 0)

    def row(self) -> _core._Worker:
        """Its line in the table of workers."""
        state = "starting" if self.live is None else "ready"
        calls = self._counts.completed
        sessions = len(self._sessions)
        return (0, self.generation, self._pid, state, calls, None, sessions, "closed", False, None)
