//! A call that was submitted, or refused.

use std::pin::Pin;
use std::task::{Context, Poll};

use snakepit::Outcome;

/// A reply, or the refusal that came instead: one future for both.
pub(super) enum Submitted {
    Reply(snakepit::Reply),
    Refused(Option<snakepit::Error>),
}

impl Future for Submitted {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Self::Reply(reply) => Pin::new(reply).poll(cx),
            Self::Refused(error) => {
                Poll::Ready(Err(error.take().expect("polled once after it was ready")))
            }
        }
    }
}
