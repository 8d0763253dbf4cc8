//! How the guards of a pool are written in a configuration file: tables, all of whose keys have
//! defaults.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::read::Limited;
use super::{
    Backoff, BreakerConfig, BreakerRule, BudgetConfig, CrashBarrier, Jitter, RetryPolicy, Trip,
};

/// A table of one type, given as another; what is missing is its default.
macro_rules! table {
    ($(#[doc = $doc:literal])* $name:ident as $table:ident => $type:ty) => {
        $(#[doc = $doc])*
        pub(super) struct $name($type);

        impl From<$name> for $type {
            fn from(read: $name) -> Self {
                read.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let table = $table::deserialize(deserializer)?;
                <$type>::try_from(table).map(Self).map_err(de::Error::custom)
            }
        }
    };
}

table! {
    /// `{ max_attempts = 3, backoff = ["100ms", 1], jitter = "full", idempotent = true }`
    Retry as RetryTable => RetryPolicy
}
table! {
    /// `{ capacity = 500, retry_cost = 14, deposit = 1 }`
    Budget as BudgetTable => BudgetConfig
}
table! {
    /// `{ window = 100, failure_rate = 0.5, reset_timeout = "30s" }`
    Breaker as BreakerTable => BreakerRule
}
table! {
    /// `{ taint = "60s", max_restarts = 1 }`
    Barrier as BarrierTable => CrashBarrier
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryTable {
    max_attempts: Option<u32>,
    backoff: Option<Pauses>,
    jitter: Option<String>,
    idempotent: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pauses {
    List(Vec<Limited>),
    Growing(Growth),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Growth {
    base: Option<Limited>,
    max: Option<Limited>,
    multiplier: Option<f64>,
}

impl TryFrom<RetryTable> for RetryPolicy {
    type Error = String;

    fn try_from(table: RetryTable) -> Result<Self, String> {
        let usual = Self::default();
        let (base, max) = (Duration::from_millis(100), Duration::from_secs(30));
        Ok(Self {
            max_attempts: table.max_attempts.unwrap_or(usual.max_attempts),
            backoff: match table.backoff {
                None => usual.backoff,
                Some(Pauses::List(pauses)) => {
                    Backoff::List(pauses.into_iter().map(Duration::from).collect())
                }
                Some(Pauses::Growing(growth)) => Backoff::Exponential {
                    base: growth.base.map_or(base, Duration::from),
                    max: growth.max.map_or(max, Duration::from),
                    multiplier: growth.multiplier.unwrap_or(2.0),
                },
            },
            jitter: match table.jitter.as_deref() {
                None | Some("full") => Jitter::Full,
                Some("equal") => Jitter::Equal,
                Some("none") => Jitter::None,
                Some(other) => {
                    return Err(format!(
                        "unknown jitter {other:?}; use \"full\", \"equal\" or \"none\""
                    ));
                }
            },
            idempotent: table.idempotent.unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetTable {
    capacity: Option<u32>,
    retry_cost: Option<u32>,
    deposit: Option<u32>,
}

impl From<BudgetTable> for BudgetConfig {
    fn from(table: BudgetTable) -> Self {
        let usual = Self::default();
        Self {
            capacity: table.capacity.unwrap_or(usual.capacity),
            retry_cost: table.retry_cost.unwrap_or(usual.retry_cost),
            deposit: table.deposit.unwrap_or(usual.deposit),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakerTable {
    failure_threshold: Option<u32>,
    reset_timeout: Option<Limited>,
    half_open_max_calls: Option<u32>,
    window: Option<u32>,
    minimum_calls: Option<u32>,
    failure_rate: Option<f64>,
    count_remote_errors: Option<bool>,
}

impl TryFrom<BreakerTable> for BreakerRule {
    type Error = String;

    fn try_from(table: BreakerTable) -> Result<Self, String> {
        let usual = BreakerConfig::default();
        let trip = match (table.window, table.failure_threshold) {
            (Some(_), Some(_)) => {
                return Err("failure_threshold and window are two ways; give one of them".into());
            }
            (Some(window), None) => Trip::Rate {
                window,
                minimum_calls: table.minimum_calls.unwrap_or(window.min(20)),
                failure_rate: table.failure_rate.unwrap_or(0.5),
            },
            (None, _) if table.minimum_calls.is_some() || table.failure_rate.is_some() => {
                return Err("minimum_calls and failure_rate need a window".into());
            }
            (None, threshold) => threshold.map_or(usual.trip, Trip::Consecutive),
        };
        Ok(Self {
            limits: BreakerConfig {
                trip,
                reset_timeout: table.reset_timeout.map_or(usual.reset_timeout, Duration::from),
                half_open_max_calls: table.half_open_max_calls.unwrap_or(usual.half_open_max_calls),
            },
            count_remote_errors: table.count_remote_errors.unwrap_or_default(),
        })
    }
}

/// `{ window = 20, failure_rate = 0.5, reset_timeout = "30s" }`, or `"none"`
pub(super) struct SlotBreaker(Option<BreakerRule>);

impl From<SlotBreaker> for Option<BreakerRule> {
    fn from(read: SlotBreaker) -> Self {
        read.0
    }
}

impl<'de> Deserialize<'de> for SlotBreaker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SlotBreakerReader)
    }
}

struct SlotBreakerReader;

impl<'de> Visitor<'de> for SlotBreakerReader {
    type Value = SlotBreaker;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of a breaker's limits, or \"none\"")
    }

    fn visit_unit<E: de::Error>(self) -> Result<SlotBreaker, E> {
        Ok(SlotBreaker(None))
    }

    fn visit_none<E: de::Error>(self) -> Result<SlotBreaker, E> {
        Ok(SlotBreaker(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SlotBreaker, E> {
        match text {
            "none" => Ok(SlotBreaker(None)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SlotBreaker, A::Error> {
        let table = SlotBreakerTable::deserialize(MapAccessDeserializer::new(map))?;
        BreakerRule::try_from(table).map(|rule| SlotBreaker(Some(rule))).map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotBreakerTable {
    failure_threshold: Option<u32>,
    reset_timeout: Option<Limited>,
    window: Option<u32>,
    minimum_calls: Option<u32>,
    failure_rate: Option<f64>,
    count_remote_errors: Option<bool>,
}

impl TryFrom<SlotBreakerTable> for BreakerRule {
    type Error = String;

    fn try_from(table: SlotBreakerTable) -> Result<Self, String> {
        let usual = Self::of_slots();
        let share = table.window.or(table.minimum_calls).is_some() || table.failure_rate.is_some();
        let trip = match (table.failure_threshold, usual.limits.trip) {
            (Some(_), _) if share => {
                return Err("failure_threshold and a window are two ways; give one of them".into());
            }
            (Some(threshold), _) => Trip::Consecutive(threshold),
            (None, Trip::Rate { window, minimum_calls, failure_rate }) => {
                let window = table.window.unwrap_or(window);
                Trip::Rate {
                    window,
                    minimum_calls: table.minimum_calls.unwrap_or(minimum_calls.min(window)),
                    failure_rate: table.failure_rate.unwrap_or(failure_rate),
                }
            }
            (None, trip) => trip,
        };
        let reset_timeout = table.reset_timeout.map_or(usual.limits.reset_timeout, Duration::from);
        Ok(Self {
            limits: BreakerConfig { trip, reset_timeout, ..usual.limits },
            count_remote_errors: table.count_remote_errors.unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BarrierTable {
    taint: Option<Limited>,
    max_restarts: Option<u32>,
}

impl From<BarrierTable> for CrashBarrier {
    fn from(table: BarrierTable) -> Self {
        let usual = Self::default();
        Self {
            taint: table.taint.map_or(usual.taint, Duration::from),
            max_restarts: table.max_restarts.unwrap_or(usual.max_restarts),
        }
    }
}
