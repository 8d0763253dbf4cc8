//! The chunks of a streaming call as Rust types.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;

use super::ChunkStream;
use super::request::decoded;
use super::trace::CallSpan;
use crate::error::Error;

/// A `Stream` of decoded chunks. Dropping it cancels the call and closes the tool's generator. It
/// ends after its first error.
#[must_use = "dropping a stream cancels its call"]
pub struct Chunks<T> {
    stream: ChunkStream,
    tool: Arc<str>,
    idle: Option<Idle>,
    span: CallSpan,
    ended: bool,
    chunk: PhantomData<fn() -> T>,
}

/// The limit of silence. Its timer is made when the reader first has to wait.
struct Idle {
    limit: Duration,
    runtime: Handle,
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer counts since the last chunk.
    armed: bool,
}

impl Idle {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            // The reader may be polled by another executor than the pool's.
            let _entered = self.runtime.enter();
            self.armed = true;
            Box::pin(tokio::time::sleep(self.limit))
        });
        // A limit beyond what a clock can say is none: the timer stays far away.
        if !std::mem::replace(&mut self.armed, true)
            && let Some(until) = Instant::now().checked_add(self.limit)
        {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

impl<T> Chunks<T> {
    pub(super) fn new(
        stream: ChunkStream,
        tool: Arc<str>,
        idle: Option<Duration>,
        runtime: Handle,
        span: CallSpan,
    ) -> Self {
        let idle = idle.map(|limit| Idle { limit, runtime, timer: None, armed: false });
        Self { stream, tool, idle, span, ended: false, chunk: PhantomData }
    }

    /// Gives the call up; the stream then ends with [`Error::Cancelled`]. False: it had ended
    /// already.
    pub fn cancel(&self) -> bool {
        self.stream.cancel()
    }

    fn end(&mut self, outcome: Result<(), &Error>) {
        self.ended = true;
        let stream = &self.stream;
        self.span.end(outcome, || stream.slot());
    }
}

impl<T: DeserializeOwned> Chunks<T> {
    /// Waits for the next chunk. None: the stream has ended.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut chunk = self.stream.poll_chunk(cx);
        if let (Poll::Pending, Some(idle)) = (&chunk, &mut self.idle)
            && idle.poll(cx).is_ready()
        {
            self.stream.canceller().expire(idle.limit);
            chunk = self.stream.poll_chunk(cx);
        }
        let Poll::Ready(chunk) = chunk else { return Poll::Pending };
        if let Some(idle) = &mut self.idle {
            idle.armed = false;
        }
        let chunk = chunk.map(|chunk| chunk.and_then(|chunk| decoded(&self.tool, "chunk", &chunk)));
        match &chunk {
            Some(Ok(_)) => {}
            None => self.end(Ok(())),
            Some(Err(error)) => {
                // A chunk of another type than asked for is the reader's mistake: no more of them.
                self.stream.cancel();
                self.end(Err(error));
            }
        }
        Poll::Ready(chunk)
    }
}

impl<T: DeserializeOwned> Stream for Chunks<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_no_clock_can_say_is_none() {
        let runtime = Handle::current();
        let mut idle = Idle { limit: Duration::MAX, runtime, timer: None, armed: false };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(idle.poll(&mut cx).is_pending());
        idle.armed = false; // a chunk came
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(idle.poll(&mut cx).is_pending());
    }
}
