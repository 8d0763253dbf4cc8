//! Both directions between this process and one other: what it lends, and what it borrows.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::borrower::{Borrower, Unreadable};
use super::lender::{ANSWER_LIMIT, Lender, Lent};
use super::owner::Arena;
use crate::payload::{Buffer, Buffers, Told};
use crate::process::message::{ArenaMessage, FromWorker, ToWorker};
use crate::process::{Control, WorkerControl};

/// What leads to the other end beside the line.
pub trait Aside: Send + Sync {
    /// Says something, with a descriptor where one belongs to it.
    ///
    /// # Errors
    /// What the socket says: it is full, or nobody is there.
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()>;
}

impl Aside for Control {
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.send(&ToWorker::Arena(message), fd.as_slice())
    }
}

impl Aside for WorkerControl {
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.send_with(&FromWorker::Arena(message), fd.as_slice())
    }
}

/// This process's side of what passes between it and another one.
pub struct Exchange {
    aside: Arc<dyn Aside>,
    lender: Arc<Lender>,
    borrower: Borrower,
}

impl Exchange {
    /// With the process that `aside` leads to. `waits`: see [`Lender::new`].
    pub fn new(arena: &Arena, aside: Arc<dyn Aside>, waits: bool) -> Self {
        let lender = Lender::new(arena, aside.clone(), waits);
        Self { aside, lender, borrower: Borrower::new(arena) }
    }

    /// This process's arena.
    pub fn arena(&self) -> &Arena {
        self.lender.arena()
    }

    /// What the other end said of its arena, or of ours.
    pub fn heard(&self, message: ArenaMessage, fds: Vec<OwnedFd>) {
        match message {
            ArenaMessage::Taken { segment } => self.lender.answered(segment, true),
            ArenaMessage::Refused { segment } => self.lender.answered(segment, false),
            owned => {
                if let Some(answer) = self.borrower.heard(owned, fds) {
                    // Lost, it counts as a refusal once somebody has waited for it.
                    let _ = self.aside.tell(answer, None);
                }
            }
        }
    }

    /// Buffers as the next frame to the other end tells them: those of our arena by name, or where
    /// one of these cannot be named all of them in the frame.
    pub fn lend(&self, buffers: &Buffers) -> Vec<Told> {
        self.lend_by(buffers, |buffer| self.lender.lend(buffer))
    }

    /// The same of a frame that cannot be sent again: what the other end has not said that it took
    /// counts as what cannot be named. Waits for nothing; [`Exchange::offer`] comes first.
    pub fn lend_taken(&self, buffers: &Buffers) -> Vec<Told> {
        self.lend_by(buffers, |buffer| self.lender.lend_taken(buffer))
    }

    fn lend_by(&self, buffers: &Buffers, lend: impl Fn(&Buffer) -> Lent) -> Vec<Told> {
        let mut told = Vec::with_capacity(buffers.len());
        for buffer in buffers.iter() {
            match lend(buffer) {
                Lent::Named(named) => told.push(named),
                Lent::NotOurs => told.push(Told::Inline(buffer.bytes().clone())),
                Lent::Refused => {
                    buffers.iter().take(told.len()).for_each(|lent| self.lender.take_back(lent));
                    self.lender.arena().fell_back();
                    let inline = |buffer: &Buffer| Told::Inline(buffer.bytes().clone());
                    return buffers.iter().map(inline).collect();
                }
            }
        }
        told
    }

    /// Offers the segments of these, and waits until the other end has answered.
    pub fn offer(&self, buffers: &Buffers) {
        for buffer in buffers.iter() {
            self.lender.prepare(buffer, ANSWER_LIMIT);
        }
    }

    /// The same, without waiting. True: it has answered.
    pub fn is_answered(&self, buffers: &Buffers) -> bool {
        let mut all = true;
        for buffer in buffers.iter() {
            all &= self.lender.prepare(buffer, Duration::ZERO);
        }
        all
    }

    /// As [`Exchange::offer`], for a task.
    pub async fn offer_async(&self, buffers: &Buffers) {
        let until = Instant::now() + ANSWER_LIMIT;
        while !self.is_answered(buffers) && Instant::now() < until {
            // A segment is mapped in some 100 µs, and once.
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// They were named, and the other end could not read them.
    pub fn take_back(&self, buffers: &Buffers) {
        buffers.iter().for_each(|buffer| self.lender.take_back(buffer));
    }

    /// What a frame of the other end tells. Waits up to `limit` for what comes beside the line.
    ///
    /// # Errors
    /// Something of it cannot be read; then none of it was counted as borrowed.
    pub fn read(&self, told: &[Told], limit: Duration) -> Result<Buffers, Unreadable> {
        self.borrower.read(told, limit)
    }

    /// The other process is no more, and all that it started.
    pub fn reaped(&self) {
        self.lender.reaped();
    }
}
