"""What ``Pool`` and ``AsyncPool`` share about sessions: opening, finding, looking at them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snakepit._checks import choice, refuse_surrogates
from snakepit._config import AFFINITIES
from snakepit._duration import UNSET, lifetime
from snakepit._session import BoundSession
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit._config import PoolConfig
    from snakepit._duration import Duration, Unset
    from snakepit._engine import Engine, NativeSession
    from snakepit._stats import SessionInfo


class HasSessions:
    """A pool, as far as its sessions go."""

    _config: PoolConfig
    _engine: Engine

    def sessions(self) -> list[SessionInfo]:
        """Return the sessions that are open, the oldest first; waits for nothing."""
        from snakepit._stats import session_info

        rows = sorted(self._engine.sessions(), key=lambda row: -row[5])
        return [session_info(self._config.name, row) for row in rows]

    def session_info(self, session_id: str) -> SessionInfo | None:
        """Return what there is to tell of one session; ``None``: no such session is open."""
        row = self._engine.session_info(identifier(session_id))
        if row is None:
            return None
        from snakepit._stats import session_info

        return session_info(self._config.name, row)

    def _close_session(self, session_id: str) -> bool:
        return self._engine.close_session(identifier(session_id))

    def _opened(
        self,
        session_id: str | None,
        affinity: str | None,
        ttl: Duration | Unset | None,
        metadata: Mapping[str, Any] | None,
    ) -> tuple[NativeSession, str]:
        """The session as the engine knows it, and its affinity."""
        # As long as a UUID, which would have to be imported.
        named = os.urandom(16).hex() if session_id is None else identifier(session_id)
        last: float | None = None
        if ttl is not UNSET:
            limited = lifetime("ttl", ttl)
            last = float("inf") if limited is None else limited
        _check_affinity(affinity)
        _check_metadata(metadata)
        native = self._engine.open_session(named, affinity, last, metadata)
        return native, affinity or self._config.affinity

    def _by_id(self, session_id: str, affinity: str | None) -> NativeSession:
        _check_affinity(affinity)
        return self._engine.session(identifier(session_id), affinity)

    def _route(self, session: BoundSession | str | None) -> NativeSession | None:
        if session is None:
            return None
        if not isinstance(session, BoundSession):
            return self._by_id(session, None)
        if session._pool is not self:
            raise ConfigError(f"session: {session!r} belongs to another pool", field="session")
        return session._native


def identifier(session_id: object) -> str:
    """``session_id``, if it is a string; what else is no id the engine says."""
    # The wire writes "no session" as an empty id.
    if not (isinstance(session_id, str) and session_id):
        raise ConfigError(
            f"session: an id is a string of at least one character, not {session_id!r}",
            field="session",
        )
    try:
        session_id.encode()
    except UnicodeEncodeError as error:
        refuse_surrogates("session", session_id, error)
    return session_id


def _check_affinity(affinity: object) -> None:
    if affinity is not None:
        choice("affinity", affinity, AFFINITIES)


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise ConfigError(f"metadata: a mapping is needed, not {metadata!r}", field="metadata")
    for key in metadata:
        if not isinstance(key, str):
            raise ConfigError(f"metadata: keys are strings, not {key!r}", field="metadata")
