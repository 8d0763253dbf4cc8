//! What a worker may take of the machine. Applied by its own process, before any code of the adapter
//! (`process/limits.rs`); what a *call* may take is its deadline's business.

use crate::error::Error;

/// An interpreter with the packages of either end maps some 100 MiB, and each thread more.
pub(crate) const LEAST_ADDRESS_SPACE: u64 = 256 << 20;

/// A worker has about ten files open, and an import some more at a time.
pub(crate) const LEAST_OPEN_FILES: u64 = 64;

/// What each worker of a pool may take of the machine. What it starts inherits all of it; the
/// process that watches over it does not, since it must act when the worker cannot.
///
/// ```
/// let limits = snakepit::Limits { nice: 10, address_space: Some(4 << 30), ..Default::default() };
/// # let _ = snakepit::Pool::builder("my_app:Model").limits(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Added to this process's niceness, from 0 to 19: workers yield the processor to whatever is
    /// less nice. Default: 0.
    pub nice: u32,
    /// Bytes of memory that its process may map (`RLIMIT_AS`), 256 MiB at least. What it maps
    /// beyond raises `MemoryError` in the call, and the worker lives; a library that does not check
    /// ends it. Files, shared memory and the reserves of drivers count, so it cannot be used with
    /// CUDA: that maps more than any machine has. Default: as this process.
    pub address_space: Option<u64>,
    /// Descriptors that it may have open (`RLIMIT_NOFILE`), 64 at least; more than this process has
    /// only up to its own hard limit. Default: as this process.
    pub open_files: Option<u64>,
    /// Whether it may write a core file when it crashes, which delays the news of its death by
    /// seconds. Default: no.
    pub core_files: bool,
    /// Permissions that new files do not get, `0o077` for files of the user alone. Default: as this
    /// process.
    pub umask: Option<u32>,
    /// Nothing that it starts gains privileges by being executed (`sudo`, setuid programs, file
    /// capabilities). A process with more rights than ours is the one thing that cannot be ended
    /// with its worker. Switch it off where a tool must start such a program. Default: on.
    pub no_new_privs: bool,
    /// Added to this process's `oom_score_adj`, from 0 to 1000: where memory runs out, the kernel
    /// ends a worker and not its host. Default: 500.
    pub oom_score: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nice: 0,
            address_space: None,
            open_files: None,
            core_files: false,
            umask: None,
            no_new_privs: true,
            oom_score: 500,
        }
    }
}

impl Limits {
    /// # Errors
    /// [`Error::Config`] naming the first limit that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { nice, address_space, open_files, umask, oom_score, .. } = *self;
        if nice > 19 {
            return wrong(format!("nice must be from 0 to 19, not {nice}"));
        }
        if let Some(bytes) = address_space.filter(|bytes| *bytes < LEAST_ADDRESS_SPACE) {
            return wrong(format!(
                "address_space must be at least {LEAST_ADDRESS_SPACE} bytes, which an interpreter \
                 needs, not {bytes}"
            ));
        }
        if let Some(files) = open_files.filter(|files| *files < LEAST_OPEN_FILES) {
            return wrong(format!(
                "open_files must be at least {LEAST_OPEN_FILES}, which a worker needs, not {files}"
            ));
        }
        if let Some(mask) = umask.filter(|mask| *mask > 0o777) {
            return wrong(format!("umask must be from 0 to 0o777, not {mask:#o}"));
        }
        if oom_score > 1000 {
            return wrong(format!("oom_score must be from 0 to 1000, not {oom_score}"));
        }
        Ok(())
    }
}

fn wrong(message: String) -> Result<(), Error> {
    Err(Error::Config { field: "limits", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named_with_what_would() {
        let usual = Limits::default();
        for (limits, expected) in [
            (Limits { nice: 20, ..usual }, "limits: nice must be from 0 to 19, not 20"),
            (Limits { address_space: Some(1 << 20), ..usual }, "at least 268435456 bytes"),
            (Limits { open_files: Some(8), ..usual }, "open_files must be at least 64"),
            (Limits { umask: Some(0o1000), ..usual }, "umask must be from 0 to 0o777, not 0o1000"),
            (Limits { oom_score: 1001, ..usual }, "oom_score must be from 0 to 1000"),
        ] {
            let told = limits.validate().expect_err(expected).to_string();
            assert!(told.contains(expected), "{told}");
        }
        let all = Limits {
            nice: 19,
            address_space: Some(LEAST_ADDRESS_SPACE),
            open_files: Some(LEAST_OPEN_FILES),
            core_files: true,
            umask: Some(0o777),
            no_new_privs: false,
            oom_score: 1000,
        };
        assert!(all.validate().is_ok() && usual.validate().is_ok());
    }
}
