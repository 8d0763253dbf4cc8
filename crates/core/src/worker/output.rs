//! What a worker prints: told to the office line by line, the end of its standard error kept.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Office;
use crate::process::{CrashText, Stream, Tail, pump};

/// After a death the last lines are waited for so long: a grandchild may hold the pipe open.
const SETTLE: Duration = Duration::from_millis(30);

/// Of standard error.
#[derive(Default)]
struct Kept {
    tail: Tail,
    crash: CrashText,
}

/// Two pumps and what is kept.
pub(super) struct Output {
    kept: Arc<Mutex<Kept>>,
    pumps: Vec<JoinHandle<()>>,
}

impl Output {
    /// Starts to read both pipes.
    pub(super) fn start<O: Office>(
        office: &Arc<O>,
        slot: usize,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let pumps = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)].map(|(stream, fd)| {
            let (office, kept) = (office.clone(), kept.clone());
            let pump = pump(fd, stream, move |stream, line| {
                if stream == Stream::Stderr {
                    let mut kept = lock(&kept);
                    kept.tail.push(line);
                    kept.crash.push(line);
                }
                office.printed(slot, stream, line);
            });
            tokio::spawn(async move {
                if let Err(error) = pump.await {
                    tracing::warn!(%error, slot, "a worker's output cannot be read");
                }
            })
        });
        Self { kept, pumps: pumps.into() }
    }

    /// The last lines of standard error of a worker that is dead.
    pub(super) async fn last_lines(&mut self) -> String {
        let pumps = &mut self.pumps;
        let settle = async {
            for pump in pumps.iter_mut() {
                // A pump that panicked has nothing more to tell.
                let _ = pump.await;
            }
            pumps.clear();
        };
        let _ = tokio::time::timeout(SETTLE, settle).await;
        lock(&self.kept).tail.text()
    }

    /// What Python's fault handler wrote, if it did.
    pub(super) fn crash(&self) -> Option<String> {
        lock(&self.kept).crash.text().map(Into::into)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for pump in &self.pumps {
            pump.abort();
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    // Text is fit to read after any panic.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
