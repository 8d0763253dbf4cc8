//! Limits of circuit breakers; `policy::breaker` is the machine that keeps to them.

use std::time::Duration;

use crate::error::Error;

/// Outcomes that a window may remember.
const LARGEST_WINDOW: u32 = 65_536;

/// What opens a closed breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    /// So many failures in a row; a success starts the count anew.
    Consecutive(u32),
    /// The share of failures among the last calls.
    Rate {
        /// How many calls are remembered, from 1 to 65536.
        window: u32,
        /// With fewer calls than this remembered the breaker stays closed; at most `window`.
        minimum_calls: u32,
        /// Opens at this share of failures or more; above 0 and at most 1.
        failure_rate: f64,
    },
}

/// Limits of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// What opens it. Default: five failures in a row.
    pub trip: Trip,
    /// From its opening until probes are admitted. Default: 30 s.
    pub reset_timeout: Duration,
    /// Probes that may be under way at once while it is half open. Default: 1.
    pub half_open_max_calls: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            trip: Trip::Consecutive(5),
            reset_timeout: Duration::from_secs(30),
            half_open_max_calls: 1,
        }
    }
}

impl BreakerConfig {
    /// # Errors
    /// [`Error::Config`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, message: String| Err(Error::Config { field, message });
        match self.trip {
            Trip::Consecutive(0) => return wrong("failure_threshold", "must be at least 1".into()),
            Trip::Consecutive(_) => {}
            Trip::Rate { window, minimum_calls, failure_rate } => {
                if !(1..=LARGEST_WINDOW).contains(&window) {
                    let message = format!("must be from 1 to {LARGEST_WINDOW}, not {window}");
                    return wrong("window", message);
                }
                if !(1..=window).contains(&minimum_calls) {
                    let message =
                        format!("must be from 1 to window, which is {window}, not {minimum_calls}");
                    return wrong("minimum_calls", message);
                }
                if !(failure_rate > 0.0 && failure_rate <= 1.0) {
                    let message = format!("must be above 0 and at most 1, not {failure_rate}");
                    return wrong("failure_rate", message);
                }
            }
        }
        if self.half_open_max_calls == 0 {
            return wrong("half_open_max_calls", "must be at least 1".into());
        }
        Ok(())
    }
}
