//! Which events of adapters their workers send to the host.

use crate::error::Error;

/// So many patterns a list may have, and so many characters a pattern: a worker looks at all of them
/// for each event.
const MAX_PATTERNS: usize = 64;
const MAX_PATTERN: usize = 256;

/// Which events of adapters reach the host: those whose names some pattern of `allow` matches, and
/// none of `deny`; and of these a random part. Looked at in the worker, so that what is not wanted costs
/// no more than that. Patterns are globs over the name as the adapter gives it: `*`, `?`, `[a-z]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryFilter {
    /// The part that is sent, from 0 to 1. Default: 1.
    pub sampling: f64,
    /// Default: empty, every name.
    pub allow: Vec<String>,
    /// Default: empty, none.
    pub deny: Vec<String>,
}

impl Default for TelemetryFilter {
    fn default() -> Self {
        Self { sampling: 1.0, allow: Vec::new(), deny: Vec::new() }
    }
}

impl TelemetryFilter {
    /// # Errors
    /// [`Error::Config`]: `sampling` is not from 0 to 1, or there are more patterns than 64 in a list,
    /// or an empty one or one of more than 256 characters.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |message| Err(Error::Config { field: "telemetry", message });
        if !(0.0..=1.0).contains(&self.sampling) {
            return wrong(format!("sampling must be from 0 to 1, not {}", self.sampling));
        }
        for (name, patterns) in [("allow", &self.allow), ("deny", &self.deny)] {
            if patterns.len() > MAX_PATTERNS {
                let count = patterns.len();
                return wrong(format!(
                    "{name} has {count} patterns; at most {MAX_PATTERNS} may be"
                ));
            }
            let fits = |pattern: &String| (1..=MAX_PATTERN).contains(&pattern.chars().count());
            if let Some(pattern) = patterns.iter().find(|pattern| !fits(pattern)) {
                return wrong(format!(
                    "{name} has a pattern of {} characters; it must have 1 to {MAX_PATTERN}",
                    pattern.chars().count()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_and_named() {
        assert!(TelemetryFilter::default().validate().is_ok());
        let allow =
            |patterns: Vec<String>| TelemetryFilter { allow: patterns, ..Default::default() };
        for (filter, told) in [
            (
                TelemetryFilter { sampling: 1.5, ..Default::default() },
                "sampling must be from 0 to 1",
            ),
            (TelemetryFilter { sampling: f64::NAN, ..Default::default() }, "not NaN"),
            (allow(vec!["*".into(); 65]), "allow has 65 patterns"),
            (allow(vec![String::new()]), "a pattern of 0 characters"),
            (TelemetryFilter { deny: vec!["x".repeat(257)], ..Default::default() }, "deny has a"),
        ] {
            let error = filter.validate().expect_err("a mistake").to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
