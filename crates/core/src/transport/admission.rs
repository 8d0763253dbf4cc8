//! Who is expected: one token a worker, known for as long as the worker lives.
//!
//! A token is good for one Attach. It is remembered after that, so that a second one is told to the
//! keeper of the very worker whose token it is. What a process does before it has said who it is is
//! told to a keeper by its pid, where that is the pid of a worker which has not attached yet; anybody
//! else is a stranger and costs its connection only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::door::HELLO_TIMEOUT;
use super::{Inbox, Outbox};
use crate::error::Violation;

/// Length of a token.
pub(crate) const TOKEN_BYTES: usize = 32;

/// Proof that a peer is the worker that it says it is. Never shown.
pub(crate) type Token = [u8; TOKEN_BYTES];

/// Offences of processes that may turn out to be a worker: its shim tells its pid, and what the
/// worker does may be here sooner.
const MAX_EARLY: usize = 16;

/// A worker that dialled in and said hello.
pub(crate) struct Attached {
    /// As the kernel tells it; 0 where it does not.
    pub(crate) pid: u32,
    /// This end takes cancels and grants from its control socket.
    pub(crate) control: bool,
    /// This end honours the shared words.
    pub(crate) words: bool,
    /// This end maps segments.
    pub(crate) arenas: bool,
    /// This end can be told which events are wanted.
    pub(crate) telemetry: bool,
    /// Empty, unless it is Python.
    pub(crate) python_version: String,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

/// What the listener knows of an expected worker.
pub(crate) enum News {
    Attached(Box<Attached>),
    Broke(Violation),
}

/// Why a Hello is refused, as the peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownToken,
    UsedToken,
}

struct Guest {
    news: mpsc::UnboundedSender<News>,
    attached: bool,
    /// One offence is enough.
    broke: bool,
    pid: Option<u32>,
    early: Vec<Early>,
}

struct Early {
    pid: u32,
    violation: Violation,
    since: Instant,
}

impl Early {
    /// The shim tells a pid much sooner; an older offence is that of another who had the number.
    fn counts(&self) -> bool {
        self.since.elapsed() < HELLO_TIMEOUT
    }
}

impl Guest {
    /// Somebody who may turn out to be this worker broke the protocol.
    fn suspect(&mut self, pid: u32, violation: Violation) {
        self.early.retain(Early::counts);
        if self.early.len() < MAX_EARLY {
            self.early.push(Early { pid, violation, since: Instant::now() });
        }
    }

    fn broke(&mut self, violation: Violation) {
        if !std::mem::replace(&mut self.broke, true) {
            // A keeper that is gone has ended the worker.
            let _ = self.news.send(News::Broke(violation));
        }
    }
}

/// All workers of a pool that may dial in, or have.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<HashMap<Token, Guest>>>);

impl Guests {
    /// From now on whoever knows `token` is let in, once.
    pub(super) fn expect(&self, token: Token) -> Admission {
        let (news, receiver) = mpsc::unbounded_channel();
        let guest = Guest { news, attached: false, broke: false, pid: None, early: Vec::new() };
        self.lock().insert(token, guest);
        Admission { guests: self.clone(), token, news: receiver }
    }

    /// A process says that it is the worker which was given `token`. Where to put its line.
    pub(super) fn admit(
        &self,
        token: &[u8],
        pid: u32,
    ) -> Result<mpsc::UnboundedSender<News>, Refusal> {
        let token = Token::try_from(token).ok();
        let mut guests = self.lock();
        let Some(guest) = token.and_then(|token| guests.get_mut(&token)) else {
            drop(guests);
            self.broke(pid, Violation::WrongToken);
            return Err(Refusal::UnknownToken);
        };
        if std::mem::replace(&mut guest.attached, true) {
            guest.broke(Violation::SecondAttach);
            return Err(Refusal::UsedToken);
        }
        Ok(guest.news.clone())
    }

    /// A process that has not said who it is broke the protocol.
    pub(super) fn broke(&self, pid: u32, violation: Violation) {
        if pid == 0 {
            return;
        }
        for guest in self.lock().values_mut().filter(|guest| !guest.attached) {
            match guest.pid {
                Some(worker) if worker == pid => guest.broke(violation.clone()),
                None => guest.suspect(pid, violation.clone()),
                Some(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Guest>> {
        // Every guest is whole between statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's right to dial in; it ends when this is dropped.
pub(crate) struct Admission {
    guests: Guests,
    token: Token,
    news: mpsc::UnboundedReceiver<News>,
}

impl Admission {
    /// What the worker is to be told.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Tells the worker's pid, once it is known.
    pub(crate) fn is_process(&self, pid: u32) {
        let mut guests = self.guests.lock();
        if let Some(guest) = guests.get_mut(&self.token) {
            guest.pid = Some(pid);
            let mut early = std::mem::take(&mut guest.early).into_iter();
            if let Some(early) = early.find(|early| early.pid == pid && early.counts()) {
                guest.broke(early.violation);
            }
        }
    }

    /// Waits for what comes next; for ever when nothing does. Cancel-safe.
    pub(crate) async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            // Cannot be: the sender is among the guests until this is dropped.
            None => std::future::pending().await,
        }
    }

    /// What is here already.
    pub(crate) fn try_next(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.guests.lock().remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::door::HELLO_TIMEOUT;

    const TOKEN: Token = [7; TOKEN_BYTES];

    fn violation(admission: &mut Admission) -> Option<Violation> {
        admission.try_next().map(|news| match news {
            News::Broke(violation) => violation,
            News::Attached(_) => panic!("nobody attached"),
        })
    }

    #[test]
    fn a_token_is_good_once_and_its_worker_hears_of_the_second_time() {
        let guests = Guests::default();
        let mut admission = guests.expect(TOKEN);
        assert!(guests.admit(&TOKEN, 5).is_ok());
        assert_eq!(guests.admit(&TOKEN, 6).err(), Some(Refusal::UsedToken));
        assert_eq!(guests.admit(&TOKEN, 6).err(), Some(Refusal::UsedToken));
        assert_eq!(violation(&mut admission), Some(Violation::SecondAttach));
        assert_eq!(violation(&mut admission), None, "told once");
        drop(admission);
        assert_eq!(guests.admit(&TOKEN, 5).err(), Some(Refusal::UnknownToken));
        assert!(guests.lock().is_empty());
    }

    #[test]
    fn what_a_process_does_before_hello_is_told_by_its_pid_also_if_that_is_known_later() {
        let guests = Guests::default();
        let mut other = guests.expect([1; TOKEN_BYTES]);
        other.is_process(4);
        let mut admission = guests.expect(TOKEN);
        guests.broke(5, Violation::NotHello);
        guests.broke(6, Violation::NotHello);
        admission.is_process(5);
        assert_eq!(violation(&mut admission), Some(Violation::NotHello));
        assert_eq!(violation(&mut other), None);
        for token in [&[9; TOKEN_BYTES][..], b"short"] {
            assert_eq!(guests.admit(token, 4).err(), Some(Refusal::UnknownToken));
        }
        assert_eq!(violation(&mut other), Some(Violation::WrongToken));
    }

    #[test]
    fn strangers_and_workers_that_have_attached_are_nobodys_business() {
        let guests = Guests::default();
        let mut admission = guests.expect(TOKEN);
        (0..1000).for_each(|stranger| guests.broke(stranger, Violation::NotHello));
        assert!(guests.lock()[&TOKEN].early.len() <= MAX_EARLY);
        admission.is_process(2000);
        assert!(guests.admit(&TOKEN, 2000).is_ok());
        guests.broke(2000, Violation::NotHello);
        assert_eq!(violation(&mut admission), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_did_long_ago_is_not_held_against_the_next_of_its_number() {
        let guests = Guests::default();
        let mut admission = guests.expect(TOKEN);
        guests.broke(5, Violation::NotHello);
        tokio::time::advance(HELLO_TIMEOUT * 2).await;
        admission.is_process(5);
        assert_eq!(violation(&mut admission), None);

        let mut crowded = guests.expect([1; TOKEN_BYTES]);
        (100..200).for_each(|stranger| guests.broke(stranger, Violation::NotHello));
        tokio::time::advance(HELLO_TIMEOUT * 2).await;
        guests.broke(6, Violation::NotHello);
        crowded.is_process(6);
        let told = Some(Violation::NotHello);
        assert_eq!(violation(&mut crowded), told, "old offences leave room for new ones");
    }
}
