//! Arenas: memory that one process writes and others read, without a copy on the way.
//!
//! ```text
//!  owner                                                        borrower
//!  Arena ── place ──▶ Region ── seal ──▶ Buffer                 Borrower: segments that were taken
//!    │                                     │ frame: segment, offset, length, word    │
//!    └── Lender ── board, segments ──(control socket)──────────▶ heard               │ read
//!                    ▲                                                               ▼
//!                    └────────────── word of the board ◀── drop ── Bytes that keep the mapping
//! ```
//!
//! Each end has one [`Arena`] of its own and an [`Exchange`] with the other; a host has one arena for a
//! pool and an exchange with each worker. Which region is free when is decided in
//! `policy/arena`; `memory` alone touches the memory.

mod beside;
mod borrower;
mod exchange;
mod lender;
mod memory;
mod owner;
mod parked;
mod region;
mod stats;
#[cfg(test)]
mod tests;

pub use borrower::Unreadable;
pub use exchange::{Aside, Exchange};
pub use lender::Lender;
pub use memory::Private;
pub use owner::Arena;
pub use parked::Parked;
pub use region::Region;
pub use stats::{ArenaStats, NoRoom};
