//! Calls and streams, and what became of them.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::job::{Job, Sink};
use super::super::shared::Shared;
use super::super::trace::word;
use super::Teller;
use crate::call::Step;
use crate::error::Error;
use crate::telemetry::{
    CALL_QUARANTINED, EXECUTE_EXCEPTION, EXECUTE_START, EXECUTE_STOP, Event, Interest, Measured,
    Metadata, QUEUE_FULL, QUEUE_TIMEOUT, RETRY_EXHAUSTED, RETRY_SUCCESS, STREAM_START, STREAM_STOP,
};

/// Who wants one of these wants to know of calls.
const CALLS: Interest =
    EXECUTE_START.interest().and(EXECUTE_STOP.interest()).and(EXECUTE_EXCEPTION.interest());
const STREAMS: Interest = STREAM_START.interest().and(STREAM_STOP.interest());

/// A call of which somebody heard that it was made, or would have.
#[derive(Clone, Copy)]
pub(in super::super) struct ToldCall {
    since: Instant,
    /// Of a stream, as far as they have come.
    items: u64,
}

impl Job {
    pub(super) fn tell(&self, event: Event) -> Event {
        let event = event.with("command", self.tool.clone());
        event.with_any("session_id", self.session.clone())
    }

    /// What its beginning says, or its end in this worker.
    #[inline]
    fn described(&self, teller: &Teller, worker: Option<usize>) -> Metadata {
        let recent = worker.map_or(&teller.begun, |number| &teller.ended[number]);
        let describe = |metadata: &mut Metadata| self.describe(teller, worker, metadata);
        recent.of(&self.tool, self.session.as_ref(), describe)
    }

    fn describe(&self, teller: &Teller, worker: Option<usize>, metadata: &mut Metadata) {
        let mut say = |name, text: Arc<str>| metadata.push((Cow::Borrowed(name), text.into()));
        say("pool", teller.pool.clone());
        say("command", self.tool.clone());
        if let Some(session) = &self.session {
            say("session_id", session.clone());
        }
        if let Some(number) = worker {
            say("worker_id", teller.worker(number));
        }
    }

    fn tell_with_worker(&self, teller: &Teller, event: Event) -> Event {
        let worker = self.last_worker().map(|number| teller.worker(number));
        self.tell(event).with_any("worker_id", worker)
    }
}

impl Shared {
    /// A call is made. None: nobody wants to hear what becomes of it.
    pub(in super::super) fn tell_call(&self, job: &Job, now: Instant) -> Option<ToldCall> {
        let streams = matches!(job.sink, Sink::Stream(_));
        let wanted = if streams { CALLS.and(STREAMS) } else { CALLS };
        let sink = &self.events.sink;
        sink.hears(wanted).then(|| {
            sink.tell_plain(EXECUTE_START, now, Measured::Moment, || {
                job.described(&self.events, None)
            });
            ToldCall { since: now, items: 0 }
        })
    }

    /// A call was refused at the door.
    #[cold]
    pub(in super::super) fn tell_refused(&self, job: &Job, error: &Error) {
        if let Error::QueueFull { capacity, waiting, bytes, .. } = error {
            self.events.tell(QUEUE_FULL, |event| {
                let event = job.tell(event).count("queue_size", *waiting as u64);
                event.count("max_queue_size", *capacity as u64).count("bytes", *bytes).now()
            });
        }
        if let Some(told) = job.told {
            self.events.tell(EXECUTE_EXCEPTION, |event| {
                let event = job.tell(event).took("duration_ms", told.since.elapsed());
                event.with("error", word(error))
            });
        }
    }

    /// Items of a stream have come. An event, where they are the first ones.
    pub(in super::super) fn tell_items(&self, job: &mut Job, items: usize) -> Option<Event> {
        let told = job.told.as_mut()?;
        let (before, since) = (told.items, told.since);
        told.items += items as u64;
        if before > 0 {
            return None;
        }
        self.events.event(STREAM_START, |event| {
            job.tell_with_worker(&self.events, event).took("duration_ms", since.elapsed()).now()
        })
    }

    /// A call ended. `at`: now; read here, if this is the first of those that ended at once.
    pub(in super::super) fn tell_end_of_call(
        &self,
        job: &Job,
        outcome: Result<(), &Error>,
        at: &mut Option<Instant>,
    ) {
        if let Some(traced) = job.traced() {
            self.end_trace(traced, job.last_worker(), outcome);
        }
        if outcome.is_err() || job.retries > 0 {
            self.tell_trouble(job, outcome);
        }
        let Some(ToldCall { since, items }) = job.told else { return };
        let spec = outcome.map_or(EXECUTE_EXCEPTION, |()| EXECUTE_STOP);
        let error = outcome.err().map(word);
        let now = *at.get_or_insert_with(Instant::now);
        self.events.sink.tell_plain(spec, now, Measured::Took(now - since), || {
            let mut metadata = job.described(&self.events, job.last_worker());
            if let Some(error) = error {
                metadata.push((Cow::Borrowed("error"), error.into()));
            }
            metadata
        });
        if items > 0 {
            self.events.tell(STREAM_STOP, |event| {
                let event = job.tell_with_worker(&self.events, event).count("chunks", items);
                event.took("duration_ms", since.elapsed()).with_any("error", error)
            });
        }
    }

    /// What more there is to say of a call that ended with an error, or was made again.
    #[cold]
    fn tell_trouble(&self, job: &Job, outcome: Result<(), &Error>) {
        match outcome {
            Err(Error::Timeout { limit, step: step @ (Step::Queued | Step::Sent), .. }) => {
                self.events.tell(QUEUE_TIMEOUT, |event| {
                    let event = job.tell(event).took("timeout_ms", *limit).now();
                    event.with("step", step.as_str())
                });
            }
            Err(Error::PoisonCall { deaths, worker, .. }) => {
                self.events.tell(CALL_QUARANTINED, |event| {
                    let event = job.tell(event).count("deaths", u64::from(*deaths)).now();
                    event.with("worker_id", self.events.worker(worker.slot))
                });
            }
            _ => {}
        }
        if job.retries == 0 {
            return;
        }
        let attempts = u64::from(job.retries) + 1;
        let spec = outcome.map_or(RETRY_EXHAUSTED, |()| RETRY_SUCCESS);
        self.events.tell(spec, |event| {
            let event = job.tell_with_worker(&self.events, event).count("attempts", attempts);
            event.now().with_any("error", outcome.err().map(word))
        });
    }
}
