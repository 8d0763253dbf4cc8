//! Questions to workers where their threads are, and who waits for the answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::Way;

/// Those of a pool that are under way, by number.
#[derive(Default)]
pub(super) struct Inquiries {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Asked>>,
}

struct Asked {
    way: Way,
    teller: Sender<Located>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) way: Way,
    /// Empty: not that way.
    pub(super) text: String,
}

/// One question, in as many ways as it takes. Nobody waits any more when it is dropped.
pub(super) struct Inquiry<'a> {
    of: &'a Inquiries,
    numbers: Vec<u64>,
    teller: Sender<Located>,
    answers: Receiver<Located>,
}

impl Inquiries {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Asked>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Inquiry<'_> {
        let (teller, answers) = channel();
        Inquiry { of: self, numbers: Vec::new(), teller, answers }
    }

    /// A worker answered. What nobody asked for is nobody's, and so is what it says again.
    pub(super) fn answered(&self, number: u64, text: String) {
        let asked = self.lock().remove(&number);
        if let Some(Asked { way, teller }) = asked {
            let _nobody_waits = teller.send(Located { way, text });
        }
    }
}

impl Inquiry<'_> {
    /// The number under which it is asked this way.
    pub(super) fn number(&mut self, way: Way) -> u64 {
        let number = self.of.next.fetch_add(1, Ordering::Relaxed);
        self.of.lock().insert(number, Asked { way, teller: self.teller.clone() });
        self.numbers.push(number);
        number
    }

    /// Waits for an answer, whichever way it comes.
    pub(super) fn answer(&self, limit: Duration) -> Option<Located> {
        self.answers.recv_timeout(limit).ok()
    }
}

impl Drop for Inquiry<'_> {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        for number in &self.numbers {
            open.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_who_asked_and_once() {
        let inquiries = Inquiries::default();
        let (mut one, mut other) = (inquiries.open(), inquiries.open());
        let number = one.number(Way::Interpreter);
        let late = one.number(Way::Signal);
        assert_ne!(other.number(Way::Interpreter), number);
        inquiries.answered(number, "here".into());
        inquiries.answered(number, "again".into());
        inquiries.answered(99, "nobody asked".into());
        assert_eq!(other.answer(Duration::ZERO), None);
        let located = Located { way: Way::Interpreter, text: "here".into() };
        assert_eq!(one.answer(Duration::ZERO), Some(located));
        assert_eq!(one.answer(Duration::ZERO), None);
        drop((one, other));
        inquiries.answered(late, "too late".into());
        assert!(inquiries.lock().is_empty(), "nothing is kept for nobody");
    }
}
