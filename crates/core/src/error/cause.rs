//! Why a worker ended, as one word.

use std::fmt;

/// Why a worker's process ended. `Display` gives one word, for counters and fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// `unknown`: nobody saw how.
    #[default]
    Unknown,
    /// `exit_3`: it left by itself.
    Exit(i32),
    /// `signal_11`: nobody of ours sent it.
    Signal {
        /// Its number.
        number: i32,
        /// Its name.
        name: Option<&'static str>,
    },
    /// `oom`: the kernel killed it for want of memory, as its control group counts.
    Oom,
    /// `deadline`: killed, since a call did not stop at its deadline.
    Deadline,
    /// `cancel`: killed, since a call did not stop when it was cancelled.
    Cancel,
    /// `stall`: killed, since its interpreter made no progress.
    Stall,
    /// `recycle_calls`, …: replaced in good order.
    Recycle(Recycled),
    /// `protocol`: killed, since it said what no worker says, or closed its line.
    Protocol,
    /// `shim`: the process that watched over it was killed, and it died with that.
    Shim,
    /// `close`: its pool was closed.
    Close,
}

/// Why a worker was replaced in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recycled {
    /// It had answered enough calls.
    Calls,
    /// It was old enough.
    Age,
    /// It held too much memory.
    Memory,
    /// The program asked for it.
    Request,
}

impl Recycled {
    /// `calls`, `age`, `memory` or `request`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Age => "age",
            Self::Memory => "memory",
            Self::Request => "request",
        }
    }
}

impl Cause {
    /// Whether the end came out of the worker, or out of somebody else than the host and the program.
    pub(crate) fn is_crash(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::Exit(_)
                | Self::Signal { .. }
                | Self::Oom
                | Self::Protocol
                | Self::Shim
        )
    }

    /// Whether it is worth knowing where its threads were: they did not do what they should.
    pub(crate) fn asks_for_stack(self) -> bool {
        matches!(self, Self::Deadline | Self::Cancel | Self::Stall)
    }

    /// For people, where the host ended it.
    pub(crate) fn told(self) -> Option<&'static str> {
        Some(match self {
            Self::Deadline => "killed by the host: a call outlived its deadline",
            Self::Cancel => "killed by the host: a call outlived its cancel",
            Self::Stall => "killed by the host: its interpreter made no progress",
            Self::Recycle(_) => "recycled",
            Self::Close => "killed by the host: the pool was closed",
            Self::Oom => "killed by the kernel: out of memory",
            _ => return None,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exit(code) => return write!(f, "exit_{code}"),
            Self::Signal { number, .. } => return write!(f, "signal_{number}"),
            Self::Unknown => "unknown",
            Self::Oom => "oom",
            Self::Deadline => "deadline",
            Self::Cancel => "cancel",
            Self::Stall => "stall",
            Self::Recycle(why) => return write!(f, "recycle_{}", why.as_str()),
            Self::Protocol => "protocol",
            Self::Shim => "shim",
            Self::Close => "close",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_one_word() {
        let signal = Cause::Signal { number: 11, name: Some("SIGSEGV") };
        let words = [Cause::default(), Cause::Exit(3), signal, Cause::Oom, Cause::Shim];
        let told = words.map(|cause| cause.to_string());
        assert_eq!(told, ["unknown", "exit_3", "signal_11", "oom", "shim"]);
        assert_eq!(Cause::Recycle(Recycled::Memory).to_string(), "recycle_memory");
    }
}
