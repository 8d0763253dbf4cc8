//! What became of a pool's calls, and how long that took: one tally a tool.
//!
//! ```text
//! made ────── waited ─────▶ begun ──── ran ────▶ ended
//! ```
//!
//! Counted under the lock that the end of a call takes anyway, in plain numbers of fixed places, so
//! that measuring costs a call no allocation and no atomic operation. The tools that workers declare
//! bound the tallies; what is called otherwise is counted together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

mod histogram;

pub use histogram::Histogram;

/// The tally of all that no worker has declared, under a name that no tool can have.
const OTHERS: &str = "(other)";

/// Tools that are counted apart.
const MAX_TOOLS: usize = 256;

/// Names that are, as long as no worker has told which there are.
const MAX_UNDECLARED: usize = 64;

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fate {
    Ok,
    Remote,
    Timeout,
    Cancelled,
    WorkerDied,
    PoisonCall,
    SessionLost,
    ToolNotFound,
    EncodeResult,
    TooLarge,
    Start,
    PoolClosed,
}

impl Fate {
    pub(crate) const ALL: [Self; 12] = [
        Self::Ok,
        Self::Remote,
        Self::Timeout,
        Self::Cancelled,
        Self::WorkerDied,
        Self::PoisonCall,
        Self::SessionLost,
        Self::ToolNotFound,
        Self::EncodeResult,
        Self::TooLarge,
        Self::Start,
        Self::PoolClosed,
    ];

    /// Its word, in metrics as in events and traces.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Remote => "remote",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::WorkerDied => "worker_died",
            Self::PoisonCall => "poison_call",
            Self::SessionLost => "session_lost",
            Self::ToolNotFound => "tool_not_found",
            Self::EncodeResult => "encode_result",
            Self::TooLarge => "too_large",
            Self::Start => "start",
            Self::PoolClosed => "pool_closed",
        }
    }
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Rejection {
    PoolClosed,
    QueueFull,
    Start,
    SessionBusy,
    SessionLost,
    SessionClosed,
    SessionExpired,
    SessionQuotaExceeded,
    ReentrantCall,
    CircuitOpen,
}

impl Rejection {
    pub(crate) const ALL: [Self; 10] = [
        Self::PoolClosed,
        Self::QueueFull,
        Self::Start,
        Self::SessionBusy,
        Self::SessionLost,
        Self::SessionClosed,
        Self::SessionExpired,
        Self::SessionQuotaExceeded,
        Self::ReentrantCall,
        Self::CircuitOpen,
    ];

    /// Its word; that of a call's end, where it may be that, too.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PoolClosed => Fate::PoolClosed.as_str(),
            Self::QueueFull => "queue_full",
            Self::Start => Fate::Start.as_str(),
            Self::SessionBusy => "session_busy",
            Self::SessionLost => Fate::SessionLost.as_str(),
            Self::SessionClosed => "session_closed",
            Self::SessionExpired => "session_expired",
            Self::SessionQuotaExceeded => "session_quota_exceeded",
            Self::ReentrantCall => "reentrant_call",
            Self::CircuitOpen => "circuit_open",
        }
    }
}

/// Which tally a call counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(u16);

/// One tool's calls that have ended.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) tool: Arc<str>,
    declared: bool,
    pub(crate) fates: [u64; Fate::ALL.len()],
    pub(crate) waited: Histogram,
    pub(crate) ran: Histogram,
    pub(crate) took: Histogram,
}

impl Tally {
    fn new(tool: Arc<str>, declared: bool) -> Self {
        let (waited, ran, took) = Default::default();
        Self { tool, declared, fates: Default::default(), waited, ran, took }
    }

    fn add(&mut self, other: &Self) {
        let counts = self.fates.iter_mut().zip(other.fates);
        counts.for_each(|(count, more)| *count += more);
        self.waited.add(&other.waited);
        self.ran.add(&other.ran);
        self.took.add(&other.took);
    }

    fn is_empty(&self) -> bool {
        self.fates.iter().all(|&count| count == 0)
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The first is [`OTHERS`].
    tallies: Vec<Tally>,
    places: HashMap<Arc<str>, Place>,
    /// Asked for last: most programs call the same tool again.
    latest: Place,
    /// A worker has told its tools.
    declared: bool,
    rejected: [u64; Rejection::ALL.len()],
    streams: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            tallies: vec![Tally::new(OTHERS.into(), true)],
            places: HashMap::new(),
            latest: Place(0),
            declared: false,
            rejected: Default::default(),
            streams: 0,
        }
    }
}

impl Meter {
    /// A worker has these tools.
    pub(crate) fn declare<'a>(&mut self, tools: impl Iterator<Item = &'a str>) {
        self.declared = true;
        for tool in tools {
            let place = self.places.get(tool).copied().or_else(|| self.found(tool, MAX_TOOLS));
            if let Some(Place(place)) = place {
                self.tallies[usize::from(place)].declared = true;
            }
        }
    }

    /// Where a call of `tool` counts.
    #[inline]
    pub(crate) fn place(&mut self, tool: &str) -> Place {
        let Place(latest) = self.latest;
        if *self.tallies[usize::from(latest)].tool != *tool {
            self.latest = self.look_up(tool);
        }
        self.latest
    }

    fn look_up(&mut self, tool: &str) -> Place {
        if let Some(place) = self.places.get(tool) {
            return *place;
        }
        let room = if self.declared { 0 } else { MAX_UNDECLARED };
        self.found(tool, room).unwrap_or_default()
    }

    /// A tally for a new name, where there is room.
    fn found(&mut self, tool: &str, room: usize) -> Option<Place> {
        let place = self.tallies.len();
        (place <= room).then(|| {
            let tool: Arc<str> = tool.into();
            self.tallies.push(Tally::new(tool.clone(), false));
            let place = Place(place as u16);
            self.places.insert(tool, place);
            place
        })
    }

    /// A stream was admitted.
    pub(crate) fn streamed(&mut self) {
        self.streams += 1;
    }

    /// A call was not admitted.
    pub(crate) fn rejected(&mut self, why: Rejection) {
        self.rejected[why as usize] += 1;
    }

    /// A call ended that was made so long ago. `ran`: of that it ran for so long; None: no worker has
    /// begun it, as far as is known.
    #[inline]
    pub(crate) fn ended(
        &mut self,
        Place(place): Place,
        fate: Fate,
        took: Duration,
        ran: Option<Duration>,
    ) {
        let tally = &mut self.tallies[usize::from(place)];
        tally.fates[fate as usize] += 1;
        tally.took.record(took);
        match ran {
            Some(ran) => {
                tally.ran.record(ran);
                tally.waited.record(took.saturating_sub(ran));
            }
            None => tally.waited.record(took),
        }
    }

    /// Those in which calls have ended; what no worker has declared, in one.
    pub(crate) fn tallies(&self) -> Vec<Tally> {
        let (declared, undeclared): (Vec<_>, Vec<_>) =
            self.tallies.iter().partition(|tally| tally.declared);
        let mut told: Vec<_> = declared.into_iter().cloned().collect();
        undeclared.into_iter().for_each(|tally| told[0].add(tally));
        told.retain(|tally| !tally.is_empty());
        told
    }

    /// By the word of their reason, where there were any.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let words = Rejection::ALL.iter().map(|why| why.as_str());
        words.zip(self.rejected).filter(|(_, count)| *count > 0)
    }

    /// Streams admitted so far.
    pub(crate) fn streams(&self) -> u64 {
        self.streams
    }
}

#[cfg(test)]
mod tests;
