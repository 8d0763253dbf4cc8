//! Which calls really ran: a file to which workers append, however they end.

use std::collections::HashMap;
use std::path::PathBuf;

/// A file with one line an execution.
pub struct Ledger {
    path: PathBuf,
    /// Removed with the ledger.
    _folder: tempfile::TempDir,
}

impl Ledger {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it does I/O")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger");
        std::fs::write(&path, "").expect("a fresh file");
        Self { path, _folder: folder }
    }

    /// Arguments of `record`: write `name` here, then go through `gate`, where there is one.
    pub fn entry(&self, name: impl std::fmt::Display, gate: Option<&super::Gate>) -> String {
        let gate = gate.map(|gate| gate.path().display().to_string()).unwrap_or_default();
        format!("{name} {} {gate}", self.path.display()).trim_end().to_owned()
    }

    /// The names, in the order in which they were written.
    pub fn names(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).expect("the ledger is there");
        text.lines().map(str::to_owned).collect()
    }

    /// How often each name was written.
    pub fn counts(&self) -> HashMap<String, u32> {
        let mut counts = HashMap::new();
        for name in self.names() {
            *counts.entry(name).or_default() += 1;
        }
        counts
    }
}
