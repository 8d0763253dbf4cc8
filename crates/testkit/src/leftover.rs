//! Which processes of a test are alive.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::until;

/// Names the variable by which a test knows its processes, whatever they became. Not `SNAKEPIT_…`:
/// hosts keep such variables from their workers.
const VARIABLE: &str = "TESTKIT_RUN";

/// A value of that variable which nobody else has.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// A fresh one.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The variable and its value, for the environment of what is to be found again.
    pub fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.0)
    }

    /// The processes that carry the mark, zombies not counted.
    pub fn alive(&self) -> Vec<u32> {
        let entry = format!("{VARIABLE}={}\0", self.0);
        // A zombie's environment is empty.
        let ours = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.windows(entry.len()).any(|part| part == entry.as_bytes())
        };
        let entries = fs::read_dir("/proc").expect("a system with /proc").flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(ours).collect()
    }

    /// Waits until no process carries the mark, and panics if that does not come about.
    pub async fn assert_nothing_left(&self) {
        until("no process of this test is left", || self.alive().is_empty()).await;
    }
}
