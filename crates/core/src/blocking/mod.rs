//! Blocking callers and the runtime: the thread that waits for a reply does the I/O itself.
//!
//! The host has one current-thread tokio runtime and no thread that owns it. A caller that waits
//! for a reply drives the runtime until the reply is there, so that no wake-up of another thread
//! lies between the socket and the caller. A *standby* thread drives when no caller does.
//!
//! ```text
//!            a caller comes             a caller comes
//!   FREE ───────────────────▶ CALLER ◀─────────────────── STANDBY
//!    │ ▲                         │                          ▲ │
//!    │ └─────last driver leaves──┘                          │ │
//!    └──something in flight, or no call for 50 ms───────────┘ │
//!    ▲─────────────nothing in flight, calls are frequent──────┘
//! ```
//!
//! The token says who *should* be inside `block_on`; it is a policy, not a lock. Tokio lets several
//! threads enter `block_on` of one current-thread runtime: one has its core and polls everything,
//! the others wait for their own future or for the core. So a token that is wrong for a moment
//! costs time and breaks nothing. What must never happen is that something is in flight and nobody
//! drives; `token` shows why it does not.
//!
//! - Up to three callers relay the core to each other; from then on handing it over costs more than
//!   it saves: they park and the standby drives.
//! - For 50 ms after a call the standby stays outside, so that the next caller finds the core free,
//!   and looks in after 1, 2, 4, 8, 8 … ms: `block_on` can return with tasks that are ready but
//!   were not polled, and nothing announces them. Tasks and timers may be that late while nothing
//!   is in flight.
//! - After that it sits inside the runtime and sleeps there until something happens.
//!
//! Not here: what a call is, deadlines of calls (the pool's), signals (the caller's `interrupt`).

mod bell;
mod driver;
mod park;
mod standby;
#[cfg(test)]
mod tests;
mod token;

pub use driver::{Driver, Interrupt, Waited};
pub use token::Hold;
