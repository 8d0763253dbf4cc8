//! What a machine may run out of.

use std::fmt;

/// What was missing when a worker could not be started. It may be there again at the next try.
/// `Display` gives one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shortage {
    /// `processes`: this user, or the control group, may have no more processes or threads.
    Processes,
    /// `open_files`: this process, or the whole system, may have no more files open.
    OpenFiles,
    /// `memory`.
    Memory,
    /// `space`: on the disk, or in what is kept in memory like one; or a quota is used up.
    Space,
    /// `file_size`: this process may not write files of the size that is needed.
    FileSize,
}

impl Shortage {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::OpenFiles => "open_files",
            Self::Memory => "memory",
            Self::Space => "space",
            Self::FileSize => "file_size",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
