//! How a process ended, and how to say so.

use std::fmt;

use nix::sys::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It left by itself with this code.
    Exited(i32),
    /// A signal ended it; `core` tells whether it left a core file.
    Signaled { signal: i32, core: bool },
}

impl ExitStatus {
    /// Reads `si_code` and `si_status` of waitid; `None` for codes that are not an end.
    pub fn from_wait(code: i32, status: i32) -> Option<Self> {
        match code {
            libc::CLD_EXITED => Some(Self::Exited(status)),
            libc::CLD_KILLED => Some(Self::Signaled { signal: status, core: false }),
            libc::CLD_DUMPED => Some(Self::Signaled { signal: status, core: true }),
            _ => None,
        }
    }

    /// Whether it is of the kind of which Python's fault handler tells.
    pub fn is_crash(self) -> bool {
        use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
        matches!(self, Self::Signaled { signal: SIGABRT | SIGBUS | SIGFPE | SIGILL | SIGSEGV, .. })
    }

    /// The exit code that stands for this end, as shells have it: 128 + signal.
    pub fn mirrored(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled { signal, .. } => 128 + signal,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled { signal, core } => {
                write!(f, "signal {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                f.write_str(if core { ", core dumped" } else { "" })
            }
        }
    }
}

/// Ends this process as the default action of `signal` does, from whichever thread; what it handled
/// before is forgotten. Returns where that signal does not end a process.
pub fn end_by(signal: i32) {
    super::sys::end_by(signal);
}

/// `"SIGKILL"` for 9; `None` for real-time signals and numbers that are none.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    Signal::try_from(signal).ok().map(Signal::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_says_how_a_process_ended() {
        let say = |code, status| ExitStatus::from_wait(code, status).map(|s| s.to_string());
        assert_eq!(say(libc::CLD_EXITED, 3).as_deref(), Some("exit code 3"));
        assert_eq!(say(libc::CLD_KILLED, 9).as_deref(), Some("signal 9 (SIGKILL)"));
        assert_eq!(say(libc::CLD_DUMPED, 11).as_deref(), Some("signal 11 (SIGSEGV), core dumped"));
        assert_eq!(say(libc::CLD_KILLED, 40).as_deref(), Some("signal 40"));
        assert_eq!(say(libc::CLD_STOPPED, 19), None);
    }

    #[test]
    fn mirrors_as_shells_do() {
        assert_eq!(ExitStatus::Exited(7).mirrored(), 7);
        assert_eq!(ExitStatus::Signaled { signal: 9, core: false }.mirrored(), 137);
    }
}
