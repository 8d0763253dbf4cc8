//! Host tools: functions of this program that an adapter may call back, for its own call.
//!
//! ```text
//! worker ──CallHostTool──▶ pool: registered? for this session? not too deep? ──▶ HostTool::call
//!    ▲                                                                              │ its own thread
//!    └── HostToolResult, HostToolChunks ◀── HostCall ◀── succeed, fail, send, end ──┘ or task
//! ```
//!
//! A tool is asked on the thread that drives the runtime, so it must hand the work on and return:
//! [`function`] does it for closures and futures of Rust, the bindings for those of Python. What it
//! was asked is a [`HostCall`], which is answered once; who gives it up without an answer has failed.
//! A [`HostContext`](crate::HostContext) says from inside which calls it runs: they are the ancestors of every call that
//! it makes, their deadlines are its own, and when one of them is given up so is it.

mod call;
pub(crate) mod function;

use std::sync::Arc;
use std::time::Duration;

pub use call::HostCall;
pub(crate) use call::{Desk, Ended, Task};

/// What runs a host tool.
pub trait HostTool: Send + Sync + 'static {
    /// Takes the call on; must not block, nor run for long.
    fn call(&self, call: HostCall);
}

/// What a pool knows of a host tool, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostToolInfo {
    /// The name that adapters use.
    pub name: String,
    /// The only session whose calls may use it; `None`: every call may.
    pub session: Option<String>,
    /// For people and for agents.
    pub description: String,
    /// Longest time that one call of it may take; `None`: as long as the call that makes it.
    pub timeout: Option<Duration>,
    /// Whether it answers by items.
    pub streaming: bool,
}

/// A tool with what was said when it was registered.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) tool: Arc<dyn HostTool>,
    pub(crate) description: Arc<str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) streaming: bool,
}
