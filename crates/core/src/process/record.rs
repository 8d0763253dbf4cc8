//! Records of an adapter's logging, as its worker writes them among the lines of its standard error.

use serde::Deserialize;

use super::RunToken;

/// In a worker's environment: the least level that is wanted, and the mark in front of a record.
pub const RECORDS_VARIABLE: &str = "SNAKEPIT_LOG_RECORDS";

/// What an adapter logged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LogRecord {
    /// The number that Python has for it: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    pub level: u32,
    /// Name of the logger in the worker.
    pub logger: String,
    /// With the traceback, where there was one.
    pub message: String,
    /// Seconds since the epoch.
    pub time: f64,
    /// Name of the thread.
    pub thread: String,
    /// File of the call that logged.
    pub path: String,
    /// Line there.
    pub line: u32,
    /// Function there.
    pub function: String,
    /// The call in which it was logged; none: outside of calls.
    pub call: Option<u64>,
    /// The session of that call.
    pub session: Option<String>,
    /// As `snakepit_bridge.telemetry` has it.
    pub correlation_id: Option<String>,
    /// The trace that the call belongs to.
    pub trace_id: Option<String>,
}

/// What the worker of an entry puts in front of a record. Its own, so that nothing that another one
/// printed, and this one shows, looks like one.
pub fn mark(token: &RunToken) -> String {
    format!("\u{1e}record {token}\u{1e}")
}

/// What stands before the mark in a line, and the record behind it; None: there is none.
pub fn find<'a>(line: &'a str, mark: &str) -> Option<(&'a str, LogRecord)> {
    let (before, told) = line.split_once(mark)?;
    Some((before, serde_json::from_str(told).ok()?))
}

impl LogRecord {
    /// As one line, for who knows lines only.
    pub fn text(&self) -> String {
        let level = match self.level {
            50.. => "CRITICAL",
            40.. => "ERROR",
            30.. => "WARNING",
            20.. => "INFO",
            _ => "DEBUG",
        };
        format!("{level} {}: {}", self.logger, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "\u{1e}record 12\u{1e}";

    #[test]
    fn a_record_is_found_behind_what_was_printed_without_an_end() {
        let line =
            format!("50 % {MARK}{{\"level\": 30, \"logger\": \"a.b\", \"message\": \"x\\ny\"}}");
        let (before, record) = find(&line, MARK).expect("a record");
        assert_eq!(before, "50 % ");
        assert_eq!(record.text(), "WARNING a.b: x\ny");
        assert_eq!((record.call, record.session), (None, None));
    }

    #[test]
    fn what_is_none_is_a_line() {
        for line in ["", "level", &format!("{MARK}{{\"level\": "), &format!("{MARK}[]x"), MARK] {
            assert_eq!(find(line, MARK), None, "{line:?}");
        }
    }
}
