//! How many retries may be made in all, so that they cannot multiply an outage.
//!
//! A token bucket: each success puts some tokens in, each retry takes many out, and with too few
//! of them nothing is retried. So, whatever fails,
//!
//! ```text
//! retries ≤ (capacity + deposit × successes) / retry_cost
//! ```
//!
//! The idea is Finagle's `RetryBudget` (2016: a share of all requests may be retried) and that of
//! gRPC's retry throttling (gRFC A6); the figures are those of the AWS SDKs' retry quota: 500
//! tokens, 14 a retry, one back a success, so that load grows by a fourteenth in the long run and
//! by 35 calls at the start. A retry that succeeds gets nothing back beyond that: the bound above
//! would be gone.

use crate::config::BudgetConfig;

/// The bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    config: BudgetConfig,
    tokens: u32,
}

impl Budget {
    /// A full one. `config` has been validated.
    pub(crate) fn new(config: BudgetConfig) -> Self {
        Self { tokens: config.capacity, config }
    }

    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// A call succeeded.
    pub(crate) fn deposit(&mut self) {
        self.tokens = self.tokens.saturating_add(self.config.deposit).min(self.config.capacity);
    }

    /// True: one retry is paid for.
    pub(crate) fn withdraw(&mut self) -> bool {
        let left = self.tokens.checked_sub(self.config.retry_cost);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_pays_for_35_retries_and_then_for_one_in_14_successes() {
        let mut budget = Budget::new(BudgetConfig::default());
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 35);
        budget = Budget { tokens: 0, ..budget };
        let retries = (0..1400).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        assert_eq!(retries.count(), 100);
    }

    #[test]
    fn a_retry_that_is_free_or_never_affordable_is_refused_as_configuration() {
        for (capacity, retry_cost) in [(10, 0), (10, 11), (0, 0)] {
            let config = BudgetConfig { capacity, retry_cost, deposit: 1 };
            assert!(config.validate().is_err(), "{config:?}");
        }
    }

    proptest! {
        /// Whatever the order of successes and retries, the bound of this module's head holds.
        #[test]
        fn retries_are_bounded(
            capacity in 1u32..200,
            cost in 1u32..50,
            deposit in 0u32..60,
            events in prop::collection::vec(any::<bool>(), 0..300),
        ) {
            let config = BudgetConfig { capacity, retry_cost: cost.min(capacity), deposit };
            let mut budget = Budget::new(config);
            let (mut retries, mut successes) = (0u64, 0u64);
            for success in events {
                if success {
                    budget.deposit();
                    successes += 1;
                } else if budget.withdraw() {
                    retries += 1;
                }
                prop_assert!(budget.tokens() <= capacity);
                let paid = u64::from(capacity) + u64::from(deposit) * successes;
                prop_assert!(retries * u64::from(config.retry_cost) <= paid);
            }
        }
    }
}
