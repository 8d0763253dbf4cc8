//! Sessions with Rust types.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Call, Chunks, Pool, SessionHandle, SessionInfo};
use crate::call::{Affinity, Binding, Opening};
use crate::error::Error;
use crate::value;

impl Pool {
    /// A session: its calls share one worker, where the adapter keeps the session's state. It is
    /// opened by its first call (or joined, where one of that id is open), and ends when it is
    /// [closed](Session::close) or was not used for its [`ttl`](Session::ttl): then its worker drops
    /// the state, and calls fail with [`Error::SessionClosed`] and [`Error::SessionExpired`].
    /// When the worker is lost, so is the session: its calls end with [`Error::SessionLost`], until a
    /// new one is made. Dropping it ends nothing.
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// use std::time::Duration;
    ///
    /// let session = pool.session("user_42").ttl(Duration::from_secs(600));
    /// let (): () = session.execute("load_model", ()).await?;
    /// let text: String = session.execute("generate", ()).await?;
    /// session.close();
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(&self, id: impl Into<Arc<str>>) -> Session {
        Session {
            handle: self.session_handle(id, None),
            pool: self.clone(),
            opening: Opening::default(),
            unfit: None,
        }
    }

    /// As [`Pool::session`], with an id that nobody else has: 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Config`] where the system has no randomness to give.
    pub fn new_session(&self) -> Result<Session, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Error::Config {
            field: "session",
            message: format!("no id can be made ({error}); choose one"),
        })?;
        Ok(self.session(format!("{:032x}", u128::from_be_bytes(random))))
    }
}

/// A session of one pool. Clones are the same session; each keeps the pool open.
#[derive(Clone)]
pub struct Session {
    handle: SessionHandle,
    pool: Pool,
    opening: Opening,
    /// What the metadata has that cannot travel; told by whatever uses the session first.
    unfit: Option<Arc<str>>,
}

impl Session {
    /// How strictly its calls keep to their worker. Default: as the pool says.
    #[must_use]
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.handle.affinity = affinity;
        self
    }

    /// How long it may be unused; `None`: until it is closed. Default: the pool's `session_ttl`.
    /// Counts from the first use on, also for a session that others have opened. Clones made before
    /// are another session object.
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.opening.ttl = Some(ttl.into());
        self.opened_like_that()
    }

    /// What the adapter sees as `session_context.metadata`: anything that serde writes as a map with
    /// text keys, 16 KiB at most. As for [`Session::ttl`].
    #[must_use]
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        match value::encode_arguments(&metadata) {
            Ok(encoded) => (self.opening.metadata, self.unfit) = (Some(encoded), None),
            Err(error) => {
                let told = format!("{}: {}", error.path("metadata"), error.message());
                self.unfit = Some(told.into());
            }
        }
        self.opened_like_that()
    }

    fn opened_like_that(mut self) -> Self {
        self.handle.binding = Arc::new(Binding::opening(self.opening.clone()));
        self
    }

    /// The caller's id.
    pub fn id(&self) -> &str {
        self.handle.id()
    }

    /// Opens it now instead of at its first call.
    ///
    /// # Errors
    /// As [`Pool::open_session`].
    pub fn open(&self) -> Result<(), Error> {
        self.fit()?;
        self.pool.open_session(&self.handle)
    }

    /// Ends it. Calls that are inside end as they would have; then its worker drops the session's
    /// state. Waits for nothing. False: it was not open.
    pub fn close(&self) -> bool {
        self.pool.close_session_of(&self.handle)
    }

    /// What there is to tell about it; None: it is not open (yet, or any more).
    pub fn info(&self) -> Option<SessionInfo> {
        let used = self.handle.binding.life().is_some() && self.handle.ended().is_none();
        used.then(|| self.pool.session_info(self.id())).flatten()
    }

    /// As [`Pool::execute`].
    ///
    /// # Errors
    /// As there, and [`Error::SessionLost`], [`Error::SessionClosed`], [`Error::SessionExpired`],
    /// [`Error::SessionQuotaExceeded`].
    pub async fn execute<R: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Result<R, Error> {
        self.call(tool).args(arguments).execute().await
    }

    /// As [`Pool::execute_stream`].
    ///
    /// # Errors
    /// As there.
    pub fn execute_stream<T: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Result<Chunks<T>, Error> {
        self.call(tool).args(arguments).stream()
    }

    /// As [`Pool::call`].
    pub fn call(&self, tool: impl Into<Arc<str>>) -> Call<'_> {
        let call = self.pool.call(tool).session_key(self.handle.key());
        match self.fit() {
            Ok(()) => call,
            Err(error) => call.refused(error),
        }
    }

    fn fit(&self) -> Result<(), Error> {
        let told =
            |message: &Arc<str>| Error::Config { field: "metadata", message: message.to_string() };
        self.unfit.as_ref().map(told).map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
