"""Sessions of the inline engine: one worker, no timer, else the rules of the native one.

What has expired is noticed when somebody looks; the adapter is told then.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from snakepit import _core
from snakepit.errors import (
    ConfigError,
    SessionClosed,
    SessionExpired,
    SessionLost,
    SessionQuotaExceeded,
    SnakepitError,
)
from snakepit_bridge._sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST_ID = 256
_LARGEST_METADATA = 16 * 1024


class Life:
    """One life of a session, from its opening to its end."""

    def __init__(self, session_id: str, ttl: float | None) -> None:
        self.id = session_id
        self.ttl = ttl
        self.metadata = b""
        self.opened = self.used = time.monotonic()
        self.generation = 0
        self.calls = self.in_flight = 0
        self.ended: type[SessionLost] | None = None

    def has_expired(self) -> bool:
        idle = self.ttl is not None and time.monotonic() - self.used >= self.ttl
        return idle and not self.in_flight


class InlineSession:
    """A session as calls name it: by its id, or the one that was opened."""

    def __init__(self, session_id: str, life: Life | None, affinity: str) -> None:
        self.id = session_id
        self.life = life
        self._affinity = affinity
        self._bound = [0]

    @property
    def generation(self) -> int:
        return self._bound[0]

    @property
    def closed(self) -> bool:
        return self.life is not None and self.life.ended is not None

    def with_affinity(self, affinity: str) -> InlineSession:
        other = InlineSession(self.id, self.life, affinity)
        other._bound = self._bound
        return other

    def is_lost(self, generation: int) -> bool:
        """Whether the state that it relies on is gone, if ``generation`` is what there is."""
        return self._affinity != "hint" and self.generation not in (0, generation)

    def bind(self, generation: int) -> None:
        """Rely on what is kept under that number, if nothing was before."""
        if self.life is not None:
            self._bound[0] = self._bound[0] or generation


class InlineSessions:
    """The sessions of one inline pool."""

    def __init__(
        self, pool: str, ttl: float | None, most: int, over: Callable[[str], object]
    ) -> None:
        self._pool = pool
        # Told of each session that was closed or has expired.
        self._is_over = over
        self._ttl = ttl
        self._most = most
        self._open: dict[str, Life] = {}
        self._generations = itertools.count(1)
        self._lasting = Sessions()
        self._worker = 0

    def __len__(self) -> int:
        return len(self._open)

    def serve(self, worker: int, closed: Callable[[str], object]) -> None:
        """A worker of that generation is there; ``closed`` is told of each session that is over."""
        self._worker = worker
        self._lasting.closed = closed

    def open(
        self,
        session_id: str,
        affinity: str,
        ttl: float | None,
        metadata: Mapping[str, Any] | None,
    ) -> InlineSession:
        encoded = None if metadata is None else _core.encode(dict(metadata), "metadata")
        if encoded is not None and len(encoded) > _LARGEST_METADATA:
            raise ConfigError(
                f"metadata: {len(encoded)} bytes are too many; {_LARGEST_METADATA} fit",
                field="metadata",
            )
        life = self._found(session_id)
        if ttl is not None:
            life.ttl = None if ttl == float("inf") else ttl
        if encoded is not None:
            life.metadata = encoded
        return InlineSession(session_id, life, affinity)

    def enter(self, session: InlineSession) -> tuple[Life, bool]:
        """A call begins in its session. True: it is the first one of it here."""
        life = session.life
        if life is not None and life.ended is None and life.has_expired():
            self._end(life, SessionExpired)
        if life is None:
            life = self._found(session.id)
        elif life.ended is not None:
            raise self._over(session.id, life.ended)
        if session.is_lost(life.generation):
            raise self._over(session.id, SessionLost)
        if life.generation == 0:
            life.generation = next(self._generations)
        session.bind(life.generation)
        life.calls += 1
        life.in_flight += 1
        life.used = time.monotonic()
        return life, self._lasting.begin(life.generation, life.id)

    def leave(self, life: Life) -> None:
        """A call of a session has ended."""
        life.in_flight -= 1
        life.used = time.monotonic()
        if life.ended is not None and not life.in_flight:
            self._lasting.end(life.generation)

    def state(self, life: Life) -> dict[str, Any]:
        return self._lasting.state(life.generation)

    def close(self, session: InlineSession) -> bool:
        """Close the very session that was opened."""
        life = session.life
        return life is not None and self._open.get(life.id) is life and self.close_by_id(life.id)

    def close_by_id(self, session_id: str) -> bool:
        life = self._open.get(session_id)
        if life is None:
            return False
        expired = life.has_expired()
        self._end(life, SessionExpired if expired else SessionClosed)
        return not expired

    def rows(self) -> list[_core._SessionRow]:
        self._sweep()
        now = time.monotonic()
        return [self._row(life, now) for life in self._open.values()]

    def row(self, session_id: str) -> _core._SessionRow | None:
        self._sweep()
        life = self._open.get(session_id)
        return None if life is None else self._row(life, time.monotonic())

    def end_stale(self, session_id: str) -> None:
        """End the session of that id where its time is over, though nobody has noticed yet."""
        check_id(session_id)
        life = self._open.get(session_id)
        if life is not None and life.has_expired():
            self._end(life, SessionExpired)

    def lose_worker(self) -> None:
        """The adapter ends: it is told of every session first, and none has a home then."""
        self._lasting.end_all()
        for life in self._open.values():
            life.generation = 0

    def _found(self, session_id: str) -> Life:
        """The session that is open under that id, or a new one."""
        life = self._open.get(session_id)
        if life is not None and life.has_expired():
            self._end(life, SessionExpired)
            life = None
        if life is not None:
            return life
        check_id(session_id)
        if len(self._open) >= self._most:
            self._sweep()
        if len(self._open) >= self._most:
            raise SessionQuotaExceeded(
                f"pool {self._pool}: {self._most} sessions are open (max_sessions), so "
                f"{session_id!r} cannot be opened; close some, give them a shorter ttl, or raise "
                "max_sessions",
                pool=self._pool,
                session=session_id,
                limit=self._most,
            )
        life = self._open[session_id] = Life(session_id, self._ttl)
        return life

    def _sweep(self) -> None:
        for life in [life for life in self._open.values() if life.has_expired()]:
            self._end(life, SessionExpired)

    def _end(self, life: Life, how: type[SessionLost]) -> None:
        life.ended = how
        del self._open[life.id]
        self._is_over(life.id)
        if not life.in_flight:
            self._lasting.end(life.generation)

    def _row(self, life: Life, now: float) -> _core._SessionRow:
        idle = 0.0 if life.in_flight else now - life.used
        left = None if life.ttl is None else max(0.0, life.ttl - idle)
        metadata = _core.decode(life.metadata, "metadata") if life.metadata else {}
        home = (0, self._worker) if life.generation else None
        age, unused = now - life.opened, now - life.used
        counts = life.generation, life.calls, life.in_flight
        return (life.id, home, *counts, age, unused, life.ttl, left, metadata)

    def _over(self, session_id: str, how: type[SessionLost]) -> SnakepitError:
        told = {
            SessionClosed: ("is closed; open a new one", "it was closed"),
            SessionExpired: (
                (
                    "has expired: it was not used for its ttl; open a new session and load its "
                    "state again, or give it a longer ttl"
                ),
                "it was not used for its ttl",
            ),
            SessionLost: (
                "is lost: its worker is gone; open a new session and load its state again",
                "its worker is gone",
            ),
        }
        text, cause = told[how]
        return how(f'session "{session_id}" {text}', session=session_id, cause=cause)


def check_id(session_id: str) -> None:
    length = len(session_id.encode())
    wrong = ""
    if length > _LONGEST_ID:
        wrong = f"{length} bytes are too long for an id; {_LONGEST_ID} fit"
    elif any(ord(c) < 32 or 127 <= ord(c) < 160 for c in session_id):
        wrong = "an id has no control characters"
    if wrong:
        raise ConfigError(f"session: {wrong}", field="session")
