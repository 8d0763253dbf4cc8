//! Which tools the adapter has, and whether arguments are what they ask for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Pool;
use crate::call::Step;
use crate::error::Error;
use crate::payload::Payload;
use crate::schema::Mismatch;
use crate::transport::ToolInfo;

impl Pool {
    /// The tools of the adapter, as the last worker that became ready told them. Waits for the
    /// first one.
    ///
    /// # Errors
    /// [`Error::Start`] when no worker can start, [`Error::NotReady`] after `limit`,
    /// [`Error::PoolClosed`].
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// for tool in pool.tools(None).await? {
    ///     println!("{}: {}", tool.name, tool.parameters.as_str());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tools(&self, limit: Option<Duration>) -> Result<Vec<ToolInfo>, Error> {
        if self.is_forked() {
            return Err(Error::ForkedPool { pool: self.config().name.clone() });
        }
        let shared = self.shared();
        let found = shared.wait_for(|inner| {
            if !inner.state.is_open() {
                let pool = shared.config.name.clone();
                return Some(Err(Error::PoolClosed { pool, may_have_run: false }));
            }
            match &inner.tools {
                Some(tools) => Some(Ok(tools.to_vec())),
                None if inner.state.is_hopeless() => Some(Err(shared.no_worker(inner))),
                None => None,
            }
        });
        match limit {
            None => found.await,
            Some(limit) => timeout(limit, found).await.unwrap_or_else(|_| Err(self.unready(limit))),
        }
    }

    /// Whether a worker has told its tools: [`Pool::check_arguments`] can tell.
    #[doc(hidden)]
    pub fn knows_tools(&self) -> bool {
        !self.is_forked() && self.shared().lock().tools.is_some()
    }

    /// Waits until a worker has told its tools, on a call's time; what is left of that.
    #[doc(hidden)]
    pub async fn await_tools(
        &self,
        tool: &Arc<str>,
        limit: Option<Duration>,
    ) -> Result<Option<Duration>, Error> {
        let began = Instant::now();
        match (self.tools(limit).await, limit) {
            (Ok(_), None) => Ok(None),
            (Ok(_), Some(limit)) => Ok(Some(limit.saturating_sub(began.elapsed()))),
            (Err(Error::NotReady { .. }), Some(limit)) => {
                Err(Error::Timeout { tool: tool.clone(), limit, step: Step::Queued })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Holds encoded arguments against the tool's schema. Of a tool that there is not everything
    /// passes: the worker says so, and which one was meant.
    ///
    /// # Errors
    /// [`Error::Argument`]; [`Error::NotReady`] where no worker has told its tools yet.
    #[doc(hidden)]
    pub fn check_arguments(&self, tool: &Arc<str>, arguments: &Payload) -> Result<(), Error> {
        if self.is_forked() {
            return Err(Error::ForkedPool { pool: self.config().name.clone() });
        }
        let tools = self.shared().lock().tools.clone();
        let Some(tools) = tools else { return Err(self.unready(Duration::ZERO)) };
        let Some(info) = tools.iter().find(|info| *info.name == **tool) else { return Ok(()) };
        info.parameters.check_payload(arguments).map_err(|mismatch| {
            let Mismatch { parameter, path, expected, got } = mismatch;
            Error::Argument { tool: tool.clone(), parameter, path, expected, got }
        })
    }

    fn unready(&self, waited: Duration) -> Error {
        let (pool, size) = (self.config().name.clone(), self.config().size);
        let ready = self.shared().read(|state| state.ready());
        Error::NotReady { pool, waited, ready, size }
    }
}
