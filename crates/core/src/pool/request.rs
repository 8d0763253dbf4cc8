//! Calls with Rust types: arguments in, an answer out.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::encoded;
use super::trace::CallSpan;
use super::{Chunks, Pool, Reply};
use crate::call::{Affinity, CallSpec, HostContext, Lineage, SessionKey, TraceContext};
use crate::config::RetryPolicy;
use crate::error::Error;
use crate::payload::Payload;
use crate::value::{self, CodecError};

impl Pool {
    /// Runs one tool and returns its result.
    ///
    /// Arguments are anything that serde writes as a map with text keys (a struct, a map), or `()`;
    /// the result is anything that serde reads ([`crate::Value`] reads all). [`crate::value`] says
    /// what is what in Python. Dropping the future cancels the call.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::may_have_run`] tells whether the tool may have begun.
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// #[derive(serde::Serialize)]
    /// struct Args {
    ///     a: i64,
    ///     b: i64,
    /// }
    ///
    /// let sum: i64 = pool.execute("add", Args { a: 1, b: 2 }).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn execute<R: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Result<R, Error> {
        self.call(tool).args(arguments).execute().await
    }

    /// Runs one tool that streams; the chunks come as a [`futures_core::Stream`], decoded.
    ///
    /// [`futures_core::Stream`]: https://docs.rs/futures-core/latest/futures_core/stream/trait.Stream.html
    ///
    /// # Errors
    /// What refuses the call at the door. What fails later is an item of the stream.
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// let mut losses = pool.execute_stream::<f64>("train", ())?;
    /// while let Some(loss) = losses.next().await {
    ///     println!("{}", loss?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_stream<T: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Result<Chunks<T>, Error> {
        self.call(tool).args(arguments).stream()
    }

    /// A call with options of its own; nothing happens before its last word.
    ///
    /// ```no_run
    /// # async fn example(pool: snakepit::Pool) -> Result<(), snakepit::Error> {
    /// use std::time::Duration;
    ///
    /// let answer: String = pool
    ///     .call("generate")
    ///     .args([("prompt", "hi")].into_iter().collect::<snakepit::value::Map>())
    ///     .timeout(Duration::from_secs(30))
    ///     .session("user_42")
    ///     .execute()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(&self, tool: impl Into<Arc<str>>) -> Call<'_> {
        let (timeout, idle_timeout) = (None, self.defaults.idle_timeout);
        let tool = tool.into();
        let (arguments, session, idempotent, retry) = (None, None, false, None);
        let (validate, refused) = (self.defaults.validate_arguments, None);
        let pool = self;
        Call {
            pool,
            tool,
            arguments,
            session,
            timeout,
            idle_timeout,
            idempotent,
            retry,
            validate,
            refused,
            trace: None,
        }
    }
}

/// A call that is being described; see [`Pool::call`].
#[derive(Debug)]
#[must_use = "a call does nothing before execute(), submit() or stream()"]
pub struct Call<'p> {
    pool: &'p Pool,
    tool: Arc<str>,
    arguments: Option<Result<Payload, CodecError>>,
    session: Option<SessionKey>,
    /// None: what the pool says.
    timeout: Option<Option<Duration>>,
    idle_timeout: Option<Duration>,
    idempotent: bool,
    retry: Option<Arc<RetryPolicy>>,
    /// What was wrong before it began.
    refused: Option<Error>,
    validate: bool,
    trace: Option<TraceContext>,
}

impl Call<'_> {
    /// The keyword arguments; they are encoded at once. Default: none.
    pub fn args(mut self, arguments: impl Serialize) -> Self {
        self.arguments = Some(encoded(self.pool, &arguments));
        self
    }

    /// How long the whole call may take, waiting included; `None`: no limit. Default: the pool's
    /// `timeout`; for a stream its `stream_timeout`.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = Some(limit.into());
        self
    }

    /// How long a stream may be silent; `None`: no limit. Default: the pool's.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = limit.into();
        self
    }

    /// Belongs to the session of this id. Calls that must notice when the session's state was lost
    /// go through [`Pool::session`].
    pub fn session(mut self, id: impl Into<Arc<str>>) -> Self {
        let affinity = self.pool.config().affinity;
        self.session = Some(SessionKey { id: id.into(), affinity, object: None });
        self
    }

    /// How strictly the session named before keeps to its worker, in this call. Default: as the
    /// session or the pool says.
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        if let Some(session) = &mut self.session {
            session.affinity = affinity;
        }
        self
    }

    /// It cannot be made, whatever is said of it later.
    pub(super) fn refused(mut self, error: Error) -> Self {
        self.refused = Some(error);
        self
    }

    pub(super) fn session_key(mut self, key: SessionKey) -> Self {
        self.session = Some(key);
        self
    }

    /// May run again where it may have run already: when its worker died. Default: false.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// When it is made again after its worker died, where it is idempotent. Default: the pool's.
    pub fn retry(mut self, policy: impl Into<Arc<RetryPolicy>>) -> Self {
        self.retry = Some(policy.into());
        self
    }

    /// Is a span of somebody's trace, which [`Pool::on_spans`] tells the end of, with what is inside
    /// of it. Default: a span of its own inside of the one that the host tool is in which it is made,
    /// where that is traced.
    pub fn traced(mut self, span: TraceContext) -> Self {
        self.trace = Some(span);
        self
    }

    /// Whether the arguments are held against the tool's schema ([`crate::ToolInfo::parameters`])
    /// before they are sent: [`Error::Argument`] names the parameter. Default: the pool's.
    ///
    /// The schema is known once a worker has been ready. Until then [`Call::execute`] waits for
    /// it; [`Call::submit`] and [`Call::stream`], which do not wait, refuse with
    /// [`Error::NotReady`].
    pub fn validate_arguments(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// Runs the call and returns its result. Dropping the future cancels the call.
    ///
    /// # Errors
    /// As [`Pool::execute`].
    pub async fn execute<R: DeserializeOwned>(mut self) -> Result<R, Error> {
        if self.validate && !self.pool.knows_tools() {
            let limit = self.timeout.unwrap_or(self.pool.defaults.timeout);
            let left = self.pool.await_tools(&self.tool, limit).await?;
            self.timeout = Some(left);
        }
        self.submit()?.await
    }

    /// Sends the call on its way now; the answer may be awaited later, or dropped to cancel it.
    ///
    /// # Errors
    /// What refuses the call at the door.
    pub fn submit<R: DeserializeOwned>(self) -> Result<Answer<R>, Error> {
        let (pool, tool) = (self.pool, self.tool.clone());
        let (mut span, _, spec) = self.spec(pool.defaults.timeout);
        match spec.and_then(|spec| pool.submit(spec)) {
            Ok(reply) => Ok(Answer { reply, tool, span, result: PhantomData }),
            Err(error) => {
                span.end(Err(&error), || None);
                Err(error)
            }
        }
    }

    /// Runs a tool that streams. Dropping the stream cancels the call.
    ///
    /// # Errors
    /// What refuses the call at the door. What fails later is an item of the stream.
    pub fn stream<T: DeserializeOwned>(self) -> Result<Chunks<T>, Error> {
        let (pool, tool) = (self.pool, self.tool.clone());
        let (mut span, idle, spec) = self.spec(pool.defaults.stream_timeout);
        match spec.and_then(|spec| pool.stream(spec)) {
            Ok(stream) => Ok(Chunks::new(stream, tool, idle, pool.runtime().clone(), span)),
            Err(error) => {
                span.end(Err(&error), || None);
                Err(error)
            }
        }
    }

    fn spec(
        self,
        default: Option<Duration>,
    ) -> (CallSpan, Option<Duration>, Result<CallSpec, Error>) {
        let Self { pool, tool, arguments, session, timeout, idle_timeout, .. } = self;
        let Self { idempotent, retry, validate, refused, trace, .. } = self;
        let id = session.as_ref().map(|session| &*session.id);
        let span = CallSpan::open(pool, &tool, id);
        let abandoned = |error: &Error| {
            if let Some(trace) = trace.clone() {
                pool.abandon(trace, &tool, error.to_string());
            }
        };
        if let Some(error) = refused {
            abandoned(&error);
            return (span, idle_timeout, Err(error));
        }
        let arguments = match arguments {
            None => Ok(Payload::from(Bytes::from_static(&[0x80]))), // an empty map
            Some(encoded) => encoded.map_err(|error| Error::Encode {
                tool: tool.clone(),
                path: error.path("args"),
                message: error.message().to_owned(),
            }),
        };
        let arguments = arguments.and_then(|arguments| {
            if validate {
                pool.check_arguments(&tool, &arguments)?;
            }
            Ok(arguments)
        });
        let arguments = arguments.inspect_err(abandoned);
        let timeout = timeout.unwrap_or(default);
        let spec = arguments.map(|arguments| CallSpec {
            tool,
            arguments,
            session,
            timeout,
            idempotent,
            retry,
            lineage: trace.map(|trace| Lineage {
                within: HostContext::current(),
                trace: Some(trace),
                ..Lineage::default()
            }),
        });
        (span, idle_timeout, spec)
    }
}

/// The answer of one call, on its way. Dropping it cancels the call.
#[must_use = "dropping an answer cancels its call"]
pub struct Answer<R> {
    reply: Reply,
    tool: Arc<str>,
    span: CallSpan,
    result: PhantomData<fn() -> R>,
}

impl<R> Answer<R> {
    /// The answer as bytes on their way; see [`crate::value::decode`].
    pub fn reply(&self) -> &Reply {
        &self.reply
    }
}

impl<R: DeserializeOwned> Future for Answer<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.reply).poll(cx));
        let result = outcome.and_then(|message| decoded(&self.tool, "result", &message));
        let Self { reply, span, .. } = &mut *self;
        span.end(result.as_ref().map(|_| ()), || reply.slot());
        Poll::Ready(result)
    }
}

/// What a worker said, as the type that was asked for.
pub(super) fn decoded<T: DeserializeOwned>(
    tool: &Arc<str>,
    root: &str,
    message: &Payload,
) -> Result<T, Error> {
    value::decode_payload(message).map_err(|error| Error::Decode {
        tool: tool.clone(),
        path: error.path(root),
        message: error.message().to_owned(),
    })
}
