//! A call at the door of its pool: told, let in or refused, with a pass of the gate.

use tokio::time::Instant;

use super::answers::Answer;
use super::gate::Pass;
use super::job::Job;
use super::shared::Shared;
use super::state::{NewCall, Refusal};
use crate::error::Error;
use crate::id::CallId;
use crate::policy::breaker::{BreakerState, CircuitOpen};

/// Who refused a call at the door.
enum Refused {
    ByBreaker(CircuitOpen),
    ByState(Refusal, Option<Pass>),
}

impl Shared {
    /// Admits a call.
    pub(super) fn submit(&self, mut new: NewCall<Box<Job>>) -> Result<CallId, Error> {
        let now = Instant::now();
        new.job.told = self.tell_call(&new.job, now);
        let window = new.job.window();
        let admitted = self.event(|state, _, effects, answers| {
            let pass = match self.gate.admit() {
                Ok(pass) => pass,
                Err(open) => {
                    state.shed();
                    return Err((Refused::ByBreaker(open), new.job));
                }
            };
            if pass.as_ref().is_some_and(|pass| pass.began_to_probe) {
                let event = self.events.of_breaker(BreakerState::HalfOpen, None);
                answers.extend(event.map(Answer::tell));
            }
            new.place = state.meter().place(&new.job.tool);
            match state.submit(new, window, now, effects) {
                Ok(id) => {
                    // No answer can come before this event is over.
                    if pass.is_some()
                        && let Some(job) = state.job(id)
                    {
                        job.pass = pass;
                    }
                    Ok(id)
                }
                Err((refusal, job)) => Err((Refused::ByState(refusal, pass), job)),
            }
        });
        admitted.map_err(|(refused, job)| {
            let error = match refused {
                Refused::ByBreaker(CircuitOpen { retry_after }) => {
                    Error::CircuitOpen { pool: self.config.name.clone(), retry_after }
                }
                Refused::ByState(refusal, pass) => {
                    let error = self.refused(refusal);
                    let change = pass.and_then(|pass| pass.fail(&error));
                    self.tell_breaker(change);
                    error
                }
            };
            self.tell_refused(&job, &error);
            if let Some(traced) = job.traced() {
                self.end_trace(traced, None, Err(&error));
            }
            error
        })
    }
}
