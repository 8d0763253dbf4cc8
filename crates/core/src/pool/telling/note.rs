//! What happened in the pool's state.

use std::sync::Arc;

use super::super::answers::{Answer, Answers};
use super::super::shared::{Inner, Shared};
use super::super::state::Note;
use super::Teller;
use crate::call::{Ended, Resident};
use crate::policy::breaker::BreakerState;
use crate::telemetry::{
    BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPENED, Event, RETRY_ATTEMPT, RETRY_REFUSED,
    SESSION_BOUND, SESSION_CLOSED, SESSION_LOST, Spec, WORKER_CONDEMNED, WORKER_RECOVERED,
    WORKER_STALLED, WORKER_TAINTED,
};

impl Teller {
    fn of(&self, worker: Resident, event: Event) -> Event {
        event.with("worker_id", self.worker(worker.number))
    }

    fn of_worker(&self, spec: &Spec, worker: Resident) -> Option<Event> {
        self.event(spec, |event| self.of(worker, event).with("generation", worker.generation).now())
    }

    /// A breaker of the pool, or of a slot of it, does something else from now on.
    pub(in super::super) fn of_breaker(
        &self,
        state: BreakerState,
        worker: Option<Resident>,
    ) -> Option<Event> {
        let spec = match state {
            BreakerState::Closed => BREAKER_CLOSED,
            BreakerState::Open => BREAKER_OPENED,
            BreakerState::HalfOpen => BREAKER_HALF_OPEN,
        };
        self.event(spec, |event| {
            let worker = worker.map(|worker| self.worker(worker.number));
            event.with_any("worker_id", worker).now()
        })
    }
}

impl Shared {
    /// Under the lock: what is to be told is told after it.
    pub(in super::super) fn note(&self, inner: &mut Inner, note: Note, answers: &mut Answers) {
        let teller = &self.events;
        let event = match note {
            Note::Stalled(worker) => teller.of_worker(WORKER_STALLED, worker),
            Note::Recovered(worker) => teller.of_worker(WORKER_RECOVERED, worker),
            Note::Condemned(worker, why) => {
                let event = teller.of_worker(WORKER_CONDEMNED, worker);
                event.map(|event| event.with("reason", why.to_string()))
            }
            Note::Tainted(worker, time) => {
                let event = teller.of_worker(WORKER_TAINTED, worker);
                event.map(|event| event.took("duration_ms", time))
            }
            Note::Breaker(worker, state) => teller.of_breaker(state, Some(worker)),
            Note::Retry { id, under, pause } => {
                let Some(job) = inner.state.job(id) else { return };
                job.retries += 1;
                if let Some(traced) = job.traced() {
                    traced.retried();
                }
                let attempt = u64::from(job.retries) + 1;
                teller.event(RETRY_ATTEMPT, |event| {
                    let event = event.count("attempt", attempt).took("delay_ms", pause).now();
                    teller.of(under, job.tell(event))
                })
            }
            Note::RetryRefused(under) => {
                teller.event(RETRY_REFUSED, |event| teller.of(under, event).now())
            }
            Note::Bound(session, worker) => teller.event(SESSION_BOUND, |event| {
                teller.of(worker, event.with("session_id", session).now())
            }),
            Note::Lost(sessions, worker, cause) => {
                for session in sessions {
                    answers.extend(
                        teller
                            .event(SESSION_LOST, |event| {
                                let event = event.with("session_id", session).now();
                                teller.of(worker, event).with("reason", cause)
                            })
                            .map(Answer::tell),
                    );
                }
                None
            }
        };
        answers.extend(event.map(Answer::tell));
    }

    /// A call has changed what the breaker of the pool does.
    pub(in super::super) fn tell_breaker(&self, change: Option<BreakerState>) {
        if let Some(event) = change.and_then(|state| self.events.of_breaker(state, None)) {
            self.events.sink.tell(event);
        }
    }

    /// A session is over.
    pub(in super::super) fn note_over(&self, session: Arc<str>, how: Ended, answers: &mut Answers) {
        let how = match how {
            Ended::Closed => "closed",
            Ended::Expired => "expired",
        };
        let event = self.events.event(SESSION_CLOSED, |event| {
            event.with("session_id", session).with("reason", how).now()
        });
        answers.extend(event.map(Answer::tell));
    }
}
