//! Operating-system side of a worker: spawn it, talk to it beside its line, end it and all it made.
//!
//! ```text
//!  host ──posix_spawn──▶ shim ──fork──▶ worker ──▶ whatever the adapter starts
//!   │                     │                │
//!   ├─ control socket ────┴────────────────┤  SOCK_SEQPACKET pair: start, cancel, grant, probe
//!   ├─ page ───────────────────────────────┤  one word a prefetched call: queued, started, revoked
//!   └─ output pipes ───────────────────────┘  read line by line
//! ```
//!
//! The shim watches two lives. When the worker dies, it says how and ends the rest of the tree;
//! when the host dies, it ends the whole tree. It adopts what the tree orphans, so nothing escapes.
//!
//! This module decides nothing: not when a worker is stopped, not whether one is replaced. All that
//! is particular to Linux (5.4 or later) stays in here.

pub mod control;
pub mod descriptor;
pub mod exit;
pub mod fork;
pub mod memory;
pub mod message;
pub mod output;
pub mod page;
pub mod pidfd;
pub mod printer;
pub mod shim;
pub mod spawn;

mod procfs;
mod sys;
mod tree;
mod watch;

pub use control::{Control, Received, WorkerControl};
pub use descriptor::HostFd;
pub use exit::{ExitStatus, signal_name};
pub use fork::{CloseInChild, Owner, PerProcess, close_in_child, owner};
pub use memory::tree_memory;
pub use message::{FromWorker, ToWorker};
pub use output::{Stream, Tail, pump};
pub use page::{Page, WordState};
pub use pidfd::Pidfd;
pub use printer::Printer;
pub use shim::{ForkHooks, WorkerSide, become_program, become_worker};
pub use spawn::{Child, Command, Shim, spawn};
