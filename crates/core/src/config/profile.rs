//! How many calls a worker runs at once, and what runs them.

use std::str::FromStr;

use crate::error::Error;

/// Threads of a worker beyond this are a mistake: each has a stack, and they share one interpreter.
const MOST_THREADS: usize = 256;

/// Coroutines of a worker beyond this are as well.
const MOST_IN_FLIGHT: usize = 4096;

/// What runs the calls of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// One call at a time, on the worker's main thread.
    #[default]
    Process,
    /// Several calls at once, each on a thread of its own; the adapter must declare
    /// `__thread_safe__ = True`.
    Thread,
    /// Several calls at once, coroutines of one event loop.
    Async,
}

impl Profile {
    /// `process`, `thread` or `async`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Async => "async",
        }
    }

    /// Calls that a worker runs at once, unless the pool says otherwise.
    pub(crate) fn usual_capacity(self) -> usize {
        match self {
            Self::Process => 1,
            Self::Thread => 10,
            Self::Async => 100,
        }
    }

    /// Calls that a worker runs at once, given the two parameters that may say so.
    ///
    /// # Errors
    /// [`Error::Config`] naming a parameter of another profile, or a number that makes no sense.
    pub(crate) fn capacity(
        self,
        threads_per_worker: Option<usize>,
        max_in_flight: Option<usize>,
    ) -> Result<usize, Error> {
        let asked = [
            ("threads_per_worker", Self::Thread, threads_per_worker),
            ("max_in_flight", Self::Async, max_in_flight),
        ];
        let misplaced = asked.iter().find(|(_, of, said)| *of != self && said.is_some());
        if let Some((field, profile, _)) = misplaced {
            let message =
                format!("only for profile {:?}, not for {:?}", profile.as_str(), self.as_str());
            return Err(Error::Config { field, message });
        }
        let capacity = threads_per_worker.or(max_in_flight).unwrap_or(self.usual_capacity());
        self.check(capacity)?;
        Ok(capacity)
    }

    /// # Errors
    /// [`Error::Config`] for a number of calls that no worker of this profile runs at once.
    pub(crate) fn check(self, capacity: usize) -> Result<(), Error> {
        let (field, most) = match self {
            Self::Process => ("profile", 1),
            Self::Thread => ("threads_per_worker", MOST_THREADS),
            Self::Async => ("max_in_flight", MOST_IN_FLIGHT),
        };
        if (1..=most).contains(&capacity) {
            return Ok(());
        }
        let message = format!("must be from 1 to {most}, not {capacity}");
        Err(Error::Config { field, message })
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "process" => Ok(Self::Process),
            "thread" => Ok(Self::Thread),
            "async" => Ok(Self::Async),
            _ => Err(format!("unknown profile {text:?}; use \"process\", \"thread\" or \"async\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(profile: Profile, threads: Option<usize>, in_flight: Option<usize>) -> String {
        match profile.capacity(threads, in_flight) {
            Ok(capacity) => capacity.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_worker_runs_as_many_calls_as_its_profile_says() {
        assert_eq!(told(Profile::Process, None, None), "1");
        assert_eq!(told(Profile::Thread, None, None), "10");
        assert_eq!(told(Profile::Thread, Some(4), None), "4");
        assert_eq!(told(Profile::Async, None, Some(7)), "7");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (told, expected) in [
            (
                told(Profile::Process, Some(2), None),
                "threads_per_worker: only for profile \"thread\"",
            ),
            (told(Profile::Thread, None, Some(2)), "max_in_flight: only for profile \"async\""),
            (told(Profile::Thread, Some(0), None), "threads_per_worker: must be from 1 to 256"),
            (told(Profile::Async, None, Some(5000)), "max_in_flight: must be from 1 to 4096"),
        ] {
            assert!(told.contains(expected), "{told}");
        }
        assert!("threads".parse::<Profile>().is_err());
        for profile in [Profile::Process, Profile::Thread, Profile::Async] {
            assert_eq!(profile.as_str().parse(), Ok(profile));
        }
    }
}
