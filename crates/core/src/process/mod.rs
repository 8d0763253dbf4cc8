//! Operating-system side of a worker: spawn it, talk to it beside its line, end it and all it made.
//!
//! ```text
//!  host ──posix_spawn──▶ shim ──fork──▶ worker ──▶ whatever the adapter starts
//!   │                     │                │
//!   ├─ control socket ────┴────────────────┤  SOCK_SEQPACKET pair: start, cancel, grant, probe
//!   ├─ page ───────────────────────────────┤  one word a prefetched call: queued, started, done, …
//!   ├─ arenas ─────────────────────────────┤  memory that one side writes and the other reads
//!   └─ output pipes ───────────────────────┘  read line by line
//! ```
//!
//! The shim watches two lives. When the worker dies, it says how and ends the rest of the tree;
//! when the host dies, it ends the whole tree. It adopts what the tree orphans, so nothing escapes.
//! Who answers when a shim itself is killed or stopped: the host while it lives, the worker's own
//! watcher, and sibling shims, by the mark of the run ([`sweep`]); later hosts by the ledger
//! ([`mod@cleanup`]).
//!
//! This module decides nothing: not when a worker is stopped, not whether one is replaced. All that
//! is particular to Linux (5.4 or later) stays in here.

pub mod arena;
pub mod cleanup;
pub mod control;
pub mod descriptor;
pub mod doorway;
pub mod exit;
pub mod fork;
pub mod group;
pub mod limits;
pub mod memory;
pub mod message;
pub mod oom;
pub mod output;
pub mod page;
pub mod pidfd;
pub mod plain;
pub mod printer;
pub mod record;
pub mod run;
pub mod rundir;
pub mod shim;
pub mod shortage;
pub mod spawn;
pub mod stack;
pub mod sweep;
pub mod tool;

mod estate;
#[cfg(feature = "testkit")]
pub(crate) mod fuzzing;
mod ledger;
mod lock;
mod procfs;
mod sys;
mod tree;
mod watch;

pub use cleanup::{cleanup, cleanup_in};
pub use control::{Control, Received, WorkerControl};
pub use descriptor::HostFd;
pub use doorway::{Caller, Door, Doorway, send};
pub use estate::Cleanup;
pub use exit::{ExitStatus, end_by, signal_name};
pub use fork::{CloseInChild, Owner, PerProcess, close_in_child, owner};
pub use group::{GROUP_VARIABLE, WorkerGroup};
pub use limits::LIMITS_VARIABLE;
pub use memory::tree_memory;
pub use message::{ArenaMessage, FromWorker, ToWorker, Way};
pub use oom::OomCounter;
pub(crate) use oom::mount;
pub use output::{CrashText, Stream, Tail, pump};
pub use page::{Page, WordState};
pub use pidfd::Pidfd;
pub use plain::plain;
pub use printer::Printer;
pub use procfs::{process_age, program};
pub use record::{LogRecord, RECORDS_VARIABLE};
pub use run::{RUN_VARIABLE, RunToken};
pub use rundir::{Entry, RunDir};
pub use shim::{ForkHooks, WorkerSide, become_program, become_worker, die_with_shim};
pub use shortage::{shortage_of, shortage_told};
pub use spawn::{Child, Command, Shim, spawn};
pub use stack::StackDump;
pub use sweep::{Swept, end_in_place_of_shim, sweep_worker};
