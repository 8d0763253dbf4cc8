//! Where the worker of a slot is in its life.
//!
//! ```text
//! Empty ─start─▶ Starting ─ready─▶ Ready ─recycle─▶ Draining ─empty─▶ Stopping ─died─▶ Empty
//!   ▲                │                │ a call outlived its grace, or a broken protocol  │
//!   │             failed              ▼                                                  │
//!   └────────────────┴──────◀── Condemned, Outlawed (killed) ◀───────────────────────────┘
//! ```
//!
//! A worker that was replaced while it served is Retiring before it is Draining, for its sessions. One
//! that runs several calls and did not let go of one is Doomed before it is Condemned, for the others
//! (`condemn`).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    Starting,
    Ready,
    /// Another one has its number; it serves its sessions.
    Retiring,
    Draining,
    Stopping,
    /// It did not let go of a call, and others still run in it.
    Doomed,
    /// It did not let go of a call, and is being killed.
    Condemned,
    /// It broke the protocol.
    Outlawed,
}

impl Phase {
    pub(super) fn name(self, degraded: bool) -> &'static str {
        match self {
            Self::Empty | Self::Starting if degraded => "degraded",
            Self::Empty | Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Retiring | Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Doomed | Self::Condemned | Self::Outlawed => "condemned",
        }
    }

    /// What a session is told that lived in a worker which ends because of this phase.
    pub(super) fn loss(self) -> &'static str {
        match self {
            Self::Retiring | Self::Draining | Self::Stopping => "its worker was recycled",
            Self::Doomed | Self::Condemned => {
                "its worker was killed: a call outlived its deadline or cancel"
            }
            Self::Outlawed => "its worker was killed: it broke the protocol",
            _ => "its worker died",
        }
    }

    /// It gets no work but what only it can do.
    pub(super) fn is_leaving(self) -> bool {
        matches!(self, Self::Retiring | Self::Draining)
    }

    /// It runs calls.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Doomed) || self.is_leaving()
    }
}
