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
        let made = self.tell_call(&new.job, now);
        new.job.told = made.as_ref().and_then(|made| made.told);
        let traced = new.job.traced().cloned();
        let window = new.job.window();
        let admitted = self.event(|state, _, effects, answers| {
            let pass = self.gate.admit().map_err(|open| {
                state.shed();
                Refused::ByBreaker(open)
            })?;
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
                Err(refusal) => Err(Refused::ByState(refusal, pass)),
            }
        });
        admitted.map_err(|refused| {
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
            if let Some(made) = made {
                self.tell_refused(&made, &error);
            }
            if let Some(traced) = traced {
                self.end_trace(&traced, None, Err(&error));
            }
            error
        })
    }
}
