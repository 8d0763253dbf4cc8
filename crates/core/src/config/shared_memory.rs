//! How large buffers travel: through memory that both ends have, or in frames.

use std::time::Duration;

use crate::error::Error;

/// The least that `max_bytes` may be: one segment, and one that is made while it is read.
const LEAST_BYTES: u64 = 4 << 20;

/// The least that `threshold` may be: below it a copy costs less than what is around it.
const LEAST_THRESHOLD: usize = 4 << 10;

/// What happens to a buffer for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is copied into the frame, where `max_message` bounds it.
    #[default]
    Inline,
    /// The value cannot be encoded.
    Error,
}

impl WhenFull {
    /// `inline` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Error => "error",
        }
    }
}

impl std::str::FromStr for WhenFull {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "inline" => Ok(Self::Inline),
            "error" => Ok(Self::Error),
            _ => Err(format!("unknown when_full {text:?}; use \"inline\" or \"error\"")),
        }
    }
}

/// Memory in which large buffers travel between a pool and its workers, without a copy on the
/// reader's side. It grows when it is used, and shrinks some time after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    /// Bytes of all segments of the pool, its workers' included, 4 MiB at least. Default: a quarter
    /// of the memory that this process may use: the machine's, or what its control groups leave of it.
    pub max_bytes: Option<u64>,
    /// Buffers of fewer bytes travel in the frame, 4 KiB at least. Default: 64 KiB.
    pub threshold: usize,
    /// How long a buffer waits for room, within its call's deadline. Default: 1 s.
    pub wait: Duration,
    /// What happens then. Default: it is copied into the frame.
    pub when_full: WhenFull,
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self {
            max_bytes: None,
            threshold: 64 << 10,
            wait: Duration::from_secs(1),
            when_full: WhenFull::default(),
        }
    }
}

impl SharedMemory {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let wrong = |message| Err(Error::Config { field: "shared_memory", message });
        match self {
            Self { max_bytes: Some(bytes), .. } if *bytes < LEAST_BYTES => {
                wrong(format!("max_bytes must be 4 MiB at least, not {bytes}"))
            }
            Self { threshold, .. } if *threshold < LEAST_THRESHOLD => {
                wrong(format!("threshold must be 4 KiB at least, not {threshold}"))
            }
            _ => Ok(()),
        }
    }
}
