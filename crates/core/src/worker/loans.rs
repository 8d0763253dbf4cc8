//! What a pool and one of its workers lend each other.

use std::sync::Arc;
use std::time::Duration;

use crate::payload::{Buffers, Told};
use crate::process::arena::{Arena, Exchange, Unreadable};
use crate::process::{ArenaMessage, Control, FromWorker as Aside, Received};
use crate::transport::ReadBuffers;

/// Kept by all who send to the worker, who read what it says, and who reap it.
pub(super) struct Loans {
    exchange: Exchange,
    control: Arc<Control>,
}

impl Loans {
    pub(super) fn new(arena: &Arena, control: &Arc<Control>) -> Self {
        // A call can be sent again: nobody waits for the worker to have mapped anything.
        let exchange = Exchange::new(arena, control.clone(), false);
        Self { exchange, control: control.clone() }
    }

    /// The pool's arena.
    pub(super) fn arena(&self) -> &Arena {
        self.exchange.arena()
    }

    /// Buffers as the next frame to the worker tells them.
    pub(super) fn lend(&self, buffers: &Buffers) -> Vec<Told> {
        self.exchange.lend(buffers)
    }

    /// The same, for a frame that is not sent again: what the worker may not have is not named.
    pub(super) fn lend_taken(&self, buffers: &Buffers) -> Vec<Told> {
        self.exchange.lend_taken(buffers)
    }

    /// What gives it the segments of these.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// They were named, and will not be counted back.
    pub(super) fn take_back(&self, buffers: &Buffers) {
        self.exchange.take_back(buffers);
    }

    /// What the worker said beside its line.
    pub(super) fn heard(&self, message: ArenaMessage, received: Received) {
        self.exchange.heard(message, received.fds);
    }

    /// It is no more, and all that it started.
    pub(super) fn reaped(&self) {
        self.exchange.reaped();
    }

    /// Takes what is here beside the line: what was sent before a frame that is here is, too.
    fn listen(&self) -> Result<(), String> {
        loop {
            match self.control.try_recv() {
                Ok(Some(received)) => match received.message {
                    Aside::Arena(message) => self.heard(message, received),
                    _ => self.control.put_aside(received),
                },
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(format!("control socket: {error}"));
                }
                // Nothing more, or nobody there: its keeper finds out.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

impl ReadBuffers for Loans {
    fn read(&self, told: &[Told]) -> Result<Buffers, String> {
        let read = match self.exchange.read(told, Duration::ZERO) {
            Err(Unreadable::Unknown { .. }) => {
                self.listen()?;
                self.exchange.read(told, Duration::ZERO)
            }
            read => read,
        };
        read.map_err(|unreadable| unreadable.to_string())
    }
}
