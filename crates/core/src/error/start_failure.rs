//! Why a worker did not become ready.

use super::{ExitReport, Failure, Shortage, Violation};

/// Why a worker could not start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartFailure {
    /// One line: what happened and what mends it.
    pub reason: String,
    /// What Python raised, where it did.
    pub failure: Option<Failure>,
    /// The adapter's class cannot be found or loaded.
    pub adapter_source: bool,
    /// Trying again cannot help.
    pub permanent: bool,
    /// What this machine was short of, where that is why; `reason` names the limit and the remedy.
    pub shortage: Option<Shortage>,
    /// How it broke the protocol, where that is why.
    pub violation: Option<Violation>,
    /// How the process ended, where it did.
    pub exit: Option<ExitReport>,
}
