//! Sessions with Rust types.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Call, Chunks, Pool, SessionHandle};
use crate::call::Affinity;
use crate::error::Error;

impl Pool {
    /// A session: its calls share one worker, where the adapter keeps the session's state. When
    /// that worker is lost, so is the session: its calls end with [`Error::SessionLost`], until a
    /// new one is opened.
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// let session = pool.session("user_42");
    /// let (): () = session.execute("load_model", ()).await?;
    /// let text: String = session.execute("generate", ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(&self, id: impl Into<Arc<str>>) -> Session {
        Session { handle: self.session_handle(id, None), pool: self.clone() }
    }
}

/// A session of one pool. Clones are the same session; each keeps the pool open.
#[derive(Clone)]
pub struct Session {
    handle: SessionHandle,
    pool: Pool,
}

impl Session {
    /// How strictly its calls keep to their worker. Default: as the pool says.
    #[must_use]
    pub fn affinity(self, affinity: Affinity) -> Self {
        Self { handle: self.handle.with_affinity(affinity), pool: self.pool }
    }

    /// The caller's id.
    pub fn id(&self) -> &str {
        self.handle.id()
    }

    /// As [`Pool::execute`].
    ///
    /// # Errors
    /// As there, and [`Error::SessionLost`].
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
        self.pool.call(tool).session_key(self.handle.key())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
