//! What is told once the lock of a pool is released, since to tell it may wake threads or run code
//! that is not ours.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::hosting::Asked;
use super::job::Job;
use super::relay::Told;
use super::shared::Shared;
use super::stream::Channel;
use crate::error::Error;
use crate::payload::Payload;
use crate::telemetry::Event;
use crate::tool::{Registered, Task};
use crate::transport::WorkerFailure;

/// Answers to give once the lock is released.
pub(super) type Answers = SmallVec<[Answer; 1]>;

/// What a caller gets.
pub(super) enum Answer {
    /// Of a plain call; empty at the end of a stream.
    Value(Box<Job>, Payload),
    Failure(Box<Job>, Error),
    Chunks(Arc<Channel>, Vec<Payload>),
    /// An adapter tells something.
    Telemetry(Box<Told>),
    /// A host tool is asked for.
    Ask(Box<Asked>),
    /// Nobody waits for a host tool any more.
    CalledOff(Arc<Task>),
    /// These host tools are gone; to let go of one may run the program's code.
    LetGo(Vec<Registered>),
    /// Somebody wants to hear of it.
    Tell(Box<Event>),
}

impl Answer {
    pub(super) fn tell(event: Event) -> Self {
        Self::Tell(event.into())
    }

    /// `told`: when answers of the same event were told, if some were: the clock is read once for all.
    pub(super) fn give(self, shared: &Shared, told: &mut Option<Instant>) {
        match self {
            Self::Value(job, value) => {
                shared.tell_end_of_call(&job, Ok(()), told);
                shared.tell_breaker(job.succeed(value));
            }
            Self::Failure(job, error) => {
                shared.tell_end_of_call(&job, Err(&error), told);
                shared.tell_breaker(job.fail(error));
            }
            Self::Chunks(channel, items) => channel.push(items),
            Self::Telemetry(told) => told.give(shared),
            Self::Ask(asked) => asked.give(),
            Self::CalledOff(task) => task.call_off(WorkerFailure::Cancelled),
            Self::LetGo(tools) => drop(tools),
            Self::Tell(event) => shared.events.sink.tell(*event),
        }
    }
}
