//! The mark of a run: a random text in the environment of every worker, which all that it starts
//! inherits.
//!
//! By it what a dead shim left behind is found, wherever it was adopted. It is no secret, unlike the
//! token by which a worker attaches. What a program starts with an environment made from nothing
//! does not carry it.

use std::fmt;

/// Names the variable.
pub const RUN_VARIABLE: &str = "SNAKEPIT_RUN";

/// Marks the workers of one host process: 128 random bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunId(String);

impl RunId {
    pub(super) fn random() -> std::io::Result<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self(bits.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Takes what a ledger says; `None` where that is no id: it would mark processes of others.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_owned()))
    }

    /// The mark of one worker.
    pub(super) fn worker(&self, number: u64) -> RunToken {
        RunToken { run: self.clone(), number }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Marks one worker and all that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunToken {
    run: RunId,
    number: u64,
}

impl RunToken {
    /// That of this process, where it is of a run.
    pub fn of_process() -> Option<Self> {
        Self::parse(&std::env::var(RUN_VARIABLE).ok()?)
    }

    /// That of its host.
    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    fn parse(text: &str) -> Option<Self> {
        let (run, number) = text.split_once('-')?;
        Some(Self { run: RunId::parse(run)?, number: number.parse().ok()? })
    }
}

impl fmt::Display for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.number)
    }
}

/// What to look for in environments.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// One worker's processes.
    Worker(RunToken),
    /// All workers of a host.
    Run(RunId),
}

impl Mark {
    /// Whether an environment, as `/proc` shows it, carries the mark.
    pub(super) fn is_in(&self, environ: &[u8]) -> bool {
        let value = |entry: &[u8]| {
            let rest = entry.strip_prefix(RUN_VARIABLE.as_bytes())?.strip_prefix(b"=")?;
            RunToken::parse(std::str::from_utf8(rest).ok()?)
        };
        environ.split(|&byte| byte == 0).filter_map(value).any(|found| match self {
            Self::Worker(token) => found == *token,
            Self::Run(run) => found.run == *run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_whole_or_not_at_all() {
        let run = RunId::random().unwrap();
        let (worker, other) = (run.worker(1), RunId::random().unwrap());
        let environ = format!("PATH=/bin\0{RUN_VARIABLE}={worker}\0HOME=/\0");
        let found = |mark: Mark| mark.is_in(environ.as_bytes());
        assert!(found(Mark::Worker(worker.clone())) && found(Mark::Run(worker.run().clone())));
        assert!(!found(Mark::Worker(run.worker(11))) && !found(Mark::Run(other)));
        let within = format!("MY_{RUN_VARIABLE}={worker}\0ECHO={RUN_VARIABLE}={worker}\0");
        assert!(!Mark::Run(run).is_in(within.as_bytes()));
        assert!(RunId::parse("").is_none() && RunToken::parse("-1").is_none());
    }
}
