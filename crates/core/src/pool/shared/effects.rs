//! Carries out what the state wants done, under the lock: so a cancel can never overtake its call.
//! Nothing here waits.

use tokio::time::Instant;

use super::{Inner, Shared};
use crate::error::{Direction, Error};
use crate::id::CallId;
use crate::policy::meter::Fate;
use crate::pool::answers::{Answer, Answers};
use crate::pool::state::{Effect, Said};
use crate::worker::{Order, TooLong};

impl Shared {
    pub(super) fn carry_out(&self, inner: &mut Inner, answers: &mut Answers) {
        let mut unsent = Vec::new();
        let mut effects = std::mem::take(&mut inner.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { slot, id, word, session, left } => {
                    let number = inner.state.number(slot);
                    if let (Some(port), Some(job)) = (&inner.ports.0[slot], inner.state.job(id))
                        && let Err(long) = job.send((port, number), id, word, session, left)
                    {
                        unsent.push((slot, id, long));
                    }
                }
                Effect::Cancel { slot, id } => {
                    inner.ports.tell(slot, |port| port.cancel(id));
                    self.hosting.end_of(slot, id, answers);
                }
                Effect::Grant { slot, id, items, bytes } => {
                    inner.ports.tell(slot, |port| port.grant(id, items, bytes));
                }
                Effect::EndSession { slot, id, binding } => {
                    inner.ports.tell(slot, |port| port.end_session(&id, binding));
                }
                Effect::SessionOver { id, how } => {
                    self.hosting.end_session(&id, answers);
                    self.note_over(id, how, answers);
                }
                Effect::Note(note) => self.note(inner, note, answers),
                Effect::End { job, end } => {
                    let error = self.ended(inner, &job, end);
                    answers.push(Answer::Failure(job, error));
                }
                Effect::Probe { slot, probe } => inner.ports.tell(slot, |port| port.probe(probe)),
                Effect::Start { slot, generation, after } => {
                    inner.order(slot, Order::Start { generation, after });
                }
                Effect::Stop { slot, why } => inner.order(slot, Order::Stop(why)),
                Effect::Kill { slot, why } => inner.order(slot, Order::Kill(why)),
                Effect::Timer(at) => {
                    inner.due = Some(at);
                    self.timer.notify_one();
                }
            }
        }
        inner.effects = effects;
        if !unsent.is_empty() {
            self.refuse(inner, unsent, answers);
        }
    }

    /// Ends calls that could not be sent to the workers that they were given to.
    #[cold]
    fn refuse(
        &self,
        inner: &mut Inner,
        unsent: Vec<(usize, CallId, TooLong)>,
        answers: &mut Answers,
    ) {
        let now = Instant::now();
        for (slot, id, TooLong { size, limit }) in unsent {
            let refused = inner.state.answered(
                slot,
                id,
                Said::Failure(Fate::TooLarge),
                now,
                &mut inner.effects,
            );
            if let Ok(Some(job)) = refused {
                let (tool, direction) = (job.tool.clone(), Direction::Arguments);
                let error = Error::TooLarge { tool, direction, size, limit };
                answers.push(Answer::Failure(job, error));
            }
            inner.state.fill(slot, now, &inner.ports, &mut inner.effects);
        }
        if !inner.effects.is_empty() {
            self.carry_out(inner, answers);
        }
    }
}
