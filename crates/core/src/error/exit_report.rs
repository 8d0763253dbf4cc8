//! How a worker ended, as the errors of those who lose by it tell.

use super::{Cause, Violation};

/// How a worker's process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitReport {
    /// Exit code, where it exited.
    pub exit_code: Option<i32>,
    /// Signal number, where a signal ended it.
    pub signal: Option<i32>,
    /// Name of that signal, `SIGKILL`.
    pub signal_name: Option<&'static str>,
    /// Why the host ended it, where it did.
    pub reason: Option<String>,
    /// How it broke the protocol, where that is why.
    pub violation: Option<Violation>,
    /// In one word, why.
    pub cause: Cause,
    /// Where its threads were, 64 KiB at most: told before it was killed for a call that did not
    /// stop, or by Python's fault handler when it crashed.
    pub stack: Option<String>,
    /// The last lines of its standard error, 4 KiB at most.
    pub stderr: String,
}

impl std::fmt::Display for ExitReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.exit_code, self.signal, self.signal_name) {
            (Some(code), _, _) => write!(f, "exit code {code}")?,
            (None, Some(signal), Some(name)) => write!(f, "signal {signal} ({name})")?,
            (None, Some(signal), None) => write!(f, "signal {signal}")?,
            (None, None, _) => {
                return f.write_str(self.reason.as_deref().unwrap_or("its connection ended"));
            }
        }
        match &self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}
