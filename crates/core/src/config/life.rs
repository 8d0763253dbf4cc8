//! How workers live: when they are probed, replaced and started. What is decided from this is in
//! `policy`.

use std::time::Duration;

use crate::error::Error;

/// Tries of a slot, and pauses of a pool, beyond this are mistakes of units.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

/// What is done again and again, but for this pause, would keep a core busy with nothing else.
const SHORTEST: Duration = Duration::from_millis(10);

/// When workers are asked whether their interpreter makes progress.
///
/// The probe is answered by Python in a thread of its own, so a worker that holds the GIL, or is
/// stopped, does not answer: it is *stalled*, gets no new calls, and serves again once it answers.
/// Whoever answers calls is not asked. Workers without a control socket are not asked either, and
/// never count as stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// From the last sign of progress to the next probe. Default: 2 s; at least 10 ms.
    pub interval: Duration,
    /// A probe that is not answered for so long is missed, and another one is sent. Default: 10 s;
    /// at least 10 ms.
    pub timeout: Duration,
    /// So many missed in a row make a worker stalled. Default: 1.
    pub missed: u32,
    /// From ready to the first probe, beside `interval`. Default: none.
    pub initial_delay: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            missed: 1,
            initial_delay: Duration::ZERO,
        }
    }
}

/// When a worker is replaced by a fresh one. Every limit may be left out.
///
/// The replacement starts beside the worker, which serves until then: so limits are reached, and
/// passed a little. Then the worker gets no more calls but those of its sessions, and goes when it
/// has none left: it may take as long as its longest call, or `session_drain`. Meanwhile it is there
/// beside its replacement, which is itself not replaced before it is gone; so a pool has at most
/// twice as many processes as workers.
///
/// Whoever is replaced again and again without having answered a call is so more and more slowly,
/// up to 2 s apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recycle {
    /// After so many answered calls.
    pub calls: Option<u64>,
    /// So long after it became ready; at least 10 ms.
    pub age: Option<Duration>,
    /// When its process tree holds so many bytes: anonymous memory, resident and swapped. Measured
    /// once a second. A worker that holds as much before its first call is left alone, since a fresh
    /// one would be no better; the pool warns once of a limit that is too low.
    pub memory: Option<u64>,
    /// When it holds so many times what it held after `initialize()`.
    pub memory_growth: Option<f64>,
    /// `calls` and `age` are shortened by up to this part, differently for each worker, so that
    /// they do not all go at once. Default: 0.1.
    pub jitter: f64,
    /// A worker that is being replaced waits so long for its sessions; then they are lost.
    /// Default: 60 s.
    pub session_drain: Duration,
    /// Of at most this part of the pool replacements start at a time, and always of at least one.
    /// Default: 0.25.
    pub at_once: f64,
}

impl Default for Recycle {
    fn default() -> Self {
        Self {
            calls: None,
            age: None,
            memory: None,
            memory_growth: None,
            jitter: 0.1,
            session_drain: Duration::from_secs(60),
            at_once: 0.25,
        }
    }
}

/// See the parameters of the same names in [`super::PoolOptions`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    /// None: workers are not probed.
    pub heartbeat: Option<Heartbeat>,
    /// A worker that has been stalled for so long is killed; none: only deadlines kill.
    pub stall_kill: Option<Duration>,
    /// None: workers live as long as the pool.
    pub recycle: Option<Recycle>,
    /// So many workers start at once; none: all.
    pub startup_batch_size: Option<usize>,
    /// From one start that is through to the next one in its place.
    pub startup_batch_delay: Duration,
    /// So many failed starts in a row degrade a slot.
    pub max_failed_starts: u32,
    /// Between two tries of a degraded slot; at least 10 ms.
    pub degraded_retry: Duration,
    /// The other calls of a worker that did not let go of one have so long to end.
    pub condemn_drain: Duration,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            heartbeat: Some(Heartbeat::default()),
            stall_kill: None,
            recycle: None,
            startup_batch_size: None,
            startup_batch_delay: Duration::ZERO,
            max_failed_starts: 5,
            degraded_retry: Duration::from_secs(30),
            condemn_drain: Duration::from_secs(30),
        }
    }
}

impl Life {
    /// Places for workers that start while those that they replace still serve, and for those that
    /// were replaced and still have something to end: one for each, so that nobody who is long at it
    /// keeps others from being replaced. Where workers run several calls at once, one that must go
    /// leaves when its other calls have ended, so there too.
    pub(crate) fn spares(&self, size: usize, capacity: usize) -> usize {
        if self.recycle.is_some() || capacity > 1 { size } else { 0 }
    }

    /// Replacements that may start at a time.
    pub(crate) fn replaced_at_once(&self, size: usize) -> usize {
        let part = |recycle: Recycle| (size as f64 * recycle.at_once) as usize;
        self.recycle.map_or(1, |recycle| part(recycle).clamp(1, size))
    }

    /// A worker that was replaced waits so long for its sessions.
    pub(crate) fn session_drain(&self) -> Duration {
        self.recycle.unwrap_or_default().session_drain
    }

    /// # Errors
    /// [`Error::Config`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        if let Some(heartbeat) = self.heartbeat {
            pause("heartbeat", "interval", heartbeat.interval)?;
            pause("heartbeat", "timeout", heartbeat.timeout)?;
            if heartbeat.missed == 0 {
                return wrong("heartbeat", "missed must be at least 1");
            }
            bounded("heartbeat", heartbeat.initial_delay)?;
        }
        if let Some(limit) = self.stall_kill {
            if self.heartbeat.is_none() {
                return wrong("stall_kill", "needs a heartbeat, which tells that a worker stalls");
            }
            bounded("stall_kill", limit)?;
        }
        self.recycle.map_or(Ok(()), |recycle| recycle.validate())?;
        if self.startup_batch_size == Some(0) {
            return wrong("startup_batch_size", "must be at least 1");
        }
        bounded("startup_batch_delay", self.startup_batch_delay)?;
        if self.max_failed_starts == 0 {
            return wrong("max_failed_starts", "must be at least 1");
        }
        bounded("condemn_drain", self.condemn_drain)?;
        pause("degraded_retry", "the pause", self.degraded_retry)
    }
}

impl Recycle {
    fn validate(&self) -> Result<(), Error> {
        if self.calls == Some(0) {
            return wrong("recycle", "calls must be at least 1");
        }
        if let Some(age) = self.age {
            pause("recycle", "age", age)?;
        }
        if self.memory == Some(0) {
            return wrong("recycle", "memory must be above zero bytes");
        }
        // Written so that NaN fails.
        if !self.memory_growth.is_none_or(|factor| factor > 1.0 && factor.is_finite()) {
            return wrong("recycle", "memory_growth must be above 1, like 2.0 for twice as much");
        }
        if !(0.0..1.0).contains(&self.jitter) {
            return wrong("recycle", "jitter must be from 0 to below 1");
        }
        if !(self.at_once > 0.0 && self.at_once <= 1.0) {
            return wrong("recycle", "at_once must be above 0, and at most 1");
        }
        bounded("recycle", self.session_drain)
    }
}

fn wrong(field: &'static str, message: &str) -> Result<(), Error> {
    Err(Error::Config { field, message: message.into() })
}

fn pause(field: &'static str, name: &str, span: Duration) -> Result<(), Error> {
    if span < SHORTEST {
        return wrong(field, &format!("{name} must be at least {SHORTEST:?}, not {span:?}"));
    }
    bounded(field, span)
}

fn bounded(field: &'static str, span: Duration) -> Result<(), Error> {
    if span > LONGEST {
        return wrong(field, &format!("{span:?} is too long; {LONGEST:?} at most"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(life: Life) -> String {
        match life.validate() {
            Err(Error::Config { field, message }) => format!("{field}: {message}"),
            other => panic!("{life:?}: {other:?}"),
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let life = Life::default();
        let with = |recycle| Life { recycle: Some(recycle), ..life };
        let (of, beat, micro) =
            (Recycle::default(), Heartbeat::default(), Duration::from_micros(1));
        for (life, expected) in [
            (Life { startup_batch_size: Some(0), ..life }, "startup_batch_size"),
            (Life { max_failed_starts: 0, ..life }, "max_failed_starts"),
            (
                Life { degraded_retry: Duration::from_nanos(1), ..life },
                "degraded_retry: the pause must be at least 10ms, not 1ns",
            ),
            (
                Life { heartbeat: Some(Heartbeat { interval: micro, ..beat }), ..life },
                "heartbeat: interval must be at least 10ms",
            ),
            (
                Life { heartbeat: Some(Heartbeat { timeout: micro, ..beat }), ..life },
                "heartbeat: timeout must be at least 10ms",
            ),
            (with(Recycle { age: Some(micro), ..of }), "recycle: age must be at least 10ms"),
            (
                Life { heartbeat: None, stall_kill: Some(Duration::ZERO), ..life },
                "stall_kill: needs a heartbeat",
            ),
            (with(Recycle { calls: Some(0), ..of }), "recycle: calls"),
            (with(Recycle { memory_growth: Some(f64::NAN), ..of }), "recycle: memory_growth"),
            (with(Recycle { jitter: 1.0, ..of }), "recycle: jitter"),
            (with(Recycle { at_once: 0.0, ..of }), "recycle: at_once"),
        ] {
            assert!(refused(life).starts_with(expected), "{}", refused(life));
        }
        assert!(life.validate().is_ok() && with(of).validate().is_ok());
    }

    #[test]
    fn a_quarter_is_replaced_at_a_time_and_at_least_one() {
        let life = Life { recycle: Some(Recycle::default()), ..Life::default() };
        let sizes = [1, 4, 7, 8, 100];
        assert_eq!(sizes.map(|size| life.replaced_at_once(size)), [1, 1, 1, 2, 25]);
        let usual = Life::default();
        assert_eq!(
            (life.spares(100, 1), usual.spares(100, 1), usual.spares(100, 8)),
            (100, 0, 100)
        );
    }
}
