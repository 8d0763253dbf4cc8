//! [`RetryBudget`]: the token bucket of `policy::budget`, shared by callers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::BudgetConfig;
use crate::error::Error;
use crate::policy::budget::Budget;

/// Bounds the retries of all callers that share it: a retry costs tokens, which only successes
/// bring back, so that retries cannot multiply an outage. Cheap to clone; clones are one budget.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    machine: Arc<Mutex<Budget>>,
}

impl RetryBudget {
    /// A full one.
    ///
    /// # Errors
    /// [`Error::Config`]: a retry is free, or costs more than the budget can hold.
    pub fn new(config: BudgetConfig) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { machine: Arc::new(Mutex::new(Budget::new(config))) })
    }

    /// A call succeeded.
    pub fn deposit(&self) {
        self.lock().deposit();
    }

    /// Tokens left.
    pub fn tokens(&self) -> u32 {
        self.lock().tokens()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Budget> {
        // One number, whole after any panic.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
