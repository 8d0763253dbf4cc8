//! Host tools in Rust: closures and futures that adapters call back.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{HostToolOptions, Pool};
use crate::error::Error;
use crate::tool::function::{Asynchronous, Blocking, Streaming};

impl Pool {
    /// Lets the adapter call this closure: `self.session_context.call_host_tool(name, …)`.
    ///
    /// Its argument is anything that serde reads from a map of the keywords, its value anything that
    /// serde writes; its error becomes an exception in the adapter. It runs on a thread that may
    /// block. [`Pool::host_tool`] has options.
    ///
    /// # Errors
    /// [`Error::Config`]: the name does not match `[A-Za-z0-9][A-Za-z0-9_.-]{0,63}`, or it is taken.
    ///
    /// ```no_run
    /// # fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Args {
    ///     data: String,
    /// }
    ///
    /// pool.register_tool("length", |args: Args| Ok::<_, String>(args.data.len()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register_tool<A, R, E>(
        &self,
        name: &str,
        function: impl Fn(A) -> Result<R, E> + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        E: Display + 'static,
    {
        self.host_tool(name).register(function)
    }

    /// A host tool with options; nothing is registered before its last word.
    pub fn host_tool(&self, name: impl Into<String>) -> HostToolBuilder<'_> {
        let (name, options) = (name.into(), HostToolOptions::default());
        HostToolBuilder { pool: self, name, options }
    }
}

/// A host tool that is being described; see [`Pool::host_tool`].
#[derive(Debug)]
#[must_use = "nothing is registered before register(), register_async() or register_stream()"]
pub struct HostToolBuilder<'p> {
    pool: &'p Pool,
    name: String,
    options: HostToolOptions,
}

impl HostToolBuilder<'_> {
    /// Only the calls of this session may use it. Default: all calls.
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.options.session = Some(id.into());
        self
    }

    /// What it does, for people and agents.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.options.description = text.into();
        self
    }

    /// Longest time that one call of it may take. Default: as long as the call that makes it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Registers a closure, which runs on a thread that may block.
    ///
    /// # Errors
    /// As [`Pool::register_tool`].
    pub fn register<A, R, E>(
        self,
        function: impl Fn(A) -> Result<R, E> + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        E: Display + 'static,
    {
        let tool = Arc::new(Blocking::new(function));
        self.pool.register_host_tool(&self.name, self.options, tool)
    }

    /// Registers a closure that returns a future, which runs on the pool's runtime and is dropped
    /// when nobody waits for it any more.
    ///
    /// # Errors
    /// As [`Pool::register_tool`].
    pub fn register_async<A, R, E, Fut>(
        self,
        function: impl Fn(A) -> Fut + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        E: Display + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        let tool = Arc::new(Asynchronous::new(function));
        self.pool.register_host_tool(&self.name, self.options, tool)
    }

    /// Registers a closure that returns an iterator, whose items the adapter iterates over as they
    /// come. It runs on a thread that may block, and is a window ahead of its reader at most.
    ///
    /// # Errors
    /// As [`Pool::register_tool`].
    pub fn register_stream<A, R, E, I>(
        mut self,
        function: impl Fn(A) -> I + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        E: Display + 'static,
        I: Iterator<Item = Result<R, E>> + 'static,
    {
        self.options.streaming = true;
        let tool = Arc::new(Streaming::new(function));
        self.pool.register_host_tool(&self.name, self.options, tool)
    }
}
