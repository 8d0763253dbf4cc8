//! Named sets of time limits, for what a pool does not say itself.

use std::str::FromStr;
use std::time::Duration;

/// Limits of calls and streams that go together: the lowest of what a pool's parameters say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutProfile {
    /// 5 minutes a call, 15 a stream.
    Balanced,
    /// As balanced.
    Production,
    /// 1 minute a call, 5 a stream.
    ProductionStrict,
    /// 15 minutes a call, an hour a stream.
    Development,
    /// As development.
    MlInference,
    /// An hour a call, no limit for a stream.
    Batch,
}

impl TimeoutProfile {
    const ALL: [Self; 6] = [
        Self::Balanced,
        Self::Production,
        Self::ProductionStrict,
        Self::Development,
        Self::MlInference,
        Self::Batch,
    ];

    /// `balanced`, `production`, `production_strict`, `development`, `ml_inference` or `batch`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Production => "production",
            Self::ProductionStrict => "production_strict",
            Self::Development => "development",
            Self::MlInference => "ml_inference",
            Self::Batch => "batch",
        }
    }

    /// For the whole of a call that is no stream; none: no limit.
    pub fn timeout(self) -> Option<Duration> {
        Some(Duration::from_secs(match self {
            Self::Balanced | Self::Production => 300,
            Self::ProductionStrict => 60,
            Self::Development | Self::MlInference => 900,
            Self::Batch => 3600,
        }))
    }

    /// For the whole of a stream; none: no limit.
    pub fn stream_timeout(self) -> Option<Duration> {
        match self {
            Self::Balanced | Self::Production => Some(900),
            Self::ProductionStrict => Some(300),
            Self::Development | Self::MlInference => Some(3600),
            Self::Batch => None,
        }
        .map(Duration::from_secs)
    }
}

impl FromStr for TimeoutProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(|profile| format!("{:?}", profile.as_str())).join(", ");
            format!("unknown profile {text:?}; there are {known}")
        })
    }
}
