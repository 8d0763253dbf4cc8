//! The sessions of a pool, as embedders see them: handles to make calls with, rows to look at.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::state::SessionRow;
use super::{Pool, shared::Shared};
use crate::call::{Affinity, Binding, Ended, Opening, SessionKey};
use crate::error::Error;
use crate::id::WorkerRef;
use crate::value::{self, Map};

impl Pool {
    /// A session for [`crate::CallSpec`]s: its calls share one worker, as strictly as `affinity`
    /// says (default: the pool's). It is opened by its first call, and does not keep the pool open.
    pub fn session_handle(
        &self,
        id: impl Into<Arc<str>>,
        affinity: Option<Affinity>,
    ) -> SessionHandle {
        self.session_opening(id, affinity, Opening::default())
    }

    /// As [`Pool::session_handle`], with what the session has beside its id.
    pub fn session_opening(
        &self,
        id: impl Into<Arc<str>>,
        affinity: Option<Affinity>,
        opening: Opening,
    ) -> SessionHandle {
        let affinity = affinity.unwrap_or(self.shared.config.affinity);
        SessionHandle { id: id.into(), affinity, binding: Arc::new(Binding::opening(opening)) }
    }

    /// Opens a session, or joins the one that is open under its id, before its first call does so.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no id, [`Error::SessionQuotaExceeded`], [`Error::SessionClosed`],
    /// [`Error::SessionExpired`], [`Error::PoolClosed`], [`Error::ForkedPool`].
    pub fn open_session(&self, session: &SessionHandle) -> Result<(), Error> {
        self.shared.forked().map_or(Ok(()), Err)?;
        let key = session.key();
        key.check()?;
        let now = Instant::now();
        let opened =
            self.shared.event(|state, _, effects, _| state.open_session(&key, now, effects));
        opened.map_err(|refusal| self.shared.refused(refusal))
    }

    /// Ends the session that is open under that id. Calls that are inside end as they would have;
    /// then its worker drops the session's state. Waits for nothing. False: no such session is open.
    pub fn close_session(&self, id: &str) -> bool {
        let now = Instant::now();
        self.shared.is_here()
            && self.shared.event(|state, _, effects, _| state.close_session(id, now, effects))
    }

    /// As [`Pool::close_session`], for the session that this handle belongs to, whatever has been
    /// opened under its id since.
    pub fn close_session_of(&self, session: &SessionHandle) -> bool {
        let (id, object, now) = (&session.id, &session.binding, Instant::now());
        self.shared.is_here()
            && self
                .shared
                .event(|state, _, effects, _| state.close_session_of(id, object, now, effects))
    }

    /// The sessions that are open, in no order.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.session_rows(None)
    }

    /// The session that is open under that id.
    pub fn session_info(&self, id: &str) -> Option<SessionInfo> {
        self.session_rows(Some(id)).pop()
    }

    fn session_rows(&self, id: Option<&str>) -> Vec<SessionInfo> {
        if self.is_forked() {
            return Vec::new();
        }
        let now = Instant::now();
        let rows = self.shared.read(|state| state.session_rows(id, now));
        rows.into_iter().map(|row| self.shared.session_info(row)).collect()
    }
}

impl Shared {
    fn session_info(&self, row: SessionRow) -> SessionInfo {
        let SessionRow { id, home, calls, in_flight, age, idle, ttl, ttl_left, metadata } = row;
        SessionInfo {
            id,
            home: home.map(|(number, generation, _)| self.worker(number, generation)),
            generation: home.map_or(0, |(_, _, binding)| binding),
            calls,
            in_flight,
            age,
            idle,
            ttl,
            ttl_left,
            metadata,
        }
    }
}

/// One row of the pool's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The caller's id.
    pub id: Arc<str>,
    /// The worker that keeps its state; None: no call of it has been sent, or that worker is gone.
    pub home: Option<WorkerRef>,
    /// Number of its binding to that worker, higher with every new one; 0: none.
    pub generation: u64,
    /// Calls that were admitted.
    pub calls: u64,
    /// Of these: not ended yet.
    pub in_flight: u32,
    /// Since it was opened.
    pub age: Duration,
    /// Since a call was admitted or answered.
    pub idle: Duration,
    /// How long it may be unused; None: until it is closed.
    pub ttl: Option<Duration>,
    /// What is left of that.
    pub ttl_left: Option<Duration>,
    /// Encoded map; empty: none was given. See [`SessionInfo::metadata`].
    pub metadata: Bytes,
}

impl SessionInfo {
    /// What the session was given as metadata.
    pub fn metadata(&self) -> Map {
        // It was encoded here, from what is a map.
        value::decode(&self.metadata).unwrap_or_default()
    }
}

/// A session of one pool, as [`crate::CallSpec`] takes it; see [`super::Session`]. Clones are the
/// same session.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    pub(super) id: Arc<str>,
    pub(super) affinity: Affinity,
    pub(super) binding: Arc<Binding>,
}

impl SessionHandle {
    /// The same session for calls that bind like that.
    #[must_use]
    pub fn with_affinity(self, affinity: Affinity) -> Self {
        Self { affinity, ..self }
    }

    /// The caller's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How strictly its calls bind.
    pub fn affinity(&self) -> Affinity {
        self.affinity
    }

    /// Number of its binding to a worker; None before its first call was sent.
    pub fn binding(&self) -> Option<u64> {
        self.binding.get()
    }

    /// How the session ended, where it was closed or has expired, as far as that is known.
    pub fn ended(&self) -> Option<Ended> {
        self.binding.ended()
    }

    /// What a call of this session carries.
    pub fn key(&self) -> SessionKey {
        let object = Some(self.binding.clone());
        SessionKey { id: self.id.clone(), affinity: self.affinity, object }
    }

    /// What a call carries that names the session by its id alone: it is in whichever session is open
    /// under it, and opens one where there is none.
    pub fn key_of_id(&self) -> SessionKey {
        SessionKey { id: self.id.clone(), affinity: self.affinity, object: None }
    }
}
