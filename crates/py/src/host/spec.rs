//! A call as Python describes it, on its way into the core.

use std::pin::Pin;
use std::task::{Context, Poll};

use pyo3::prelude::*;
use snakepit::{CallSpec, Lineage, Outcome};

use super::pool::Session;
use super::retry::RetryPolicy;
use super::runtime::duration;
use crate::codec;

pub(super) fn spec(
    tool: &str,
    args: Option<&Bound<'_, PyAny>>,
    session: Option<&Session>,
    timeout: Option<f64>,
    idempotent: bool,
    retry: Option<&RetryPolicy>,
    lineage: Option<Lineage>,
) -> PyResult<CallSpec> {
    Ok(CallSpec {
        tool: tool.into(),
        arguments: codec::encode_args(args)?.into(),
        session: session.map(|session| session.0.key()),
        timeout: duration(timeout),
        idempotent,
        retry: retry.map(|policy| policy.0.clone()),
        lineage,
    })
}

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
