//! What a worker prints: told to the office line by line, the end of its standard error kept.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Office;
use crate::process::{Stream, Tail, pump};

/// After a death the last lines are waited for so long: a grandchild may hold the pipe open.
const SETTLE: Duration = Duration::from_millis(30);

/// Two pumps and the kept tail.
pub(super) struct Output {
    tail: Arc<Mutex<Tail>>,
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
        let tail = Arc::new(Mutex::new(Tail::default()));
        let pumps = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)].map(|(stream, fd)| {
            let (office, tail) = (office.clone(), tail.clone());
            let pump = pump(fd, stream, move |stream, line| {
                if stream == Stream::Stderr {
                    lock(&tail).push(line);
                }
                office.printed(slot, stream, line);
            });
            tokio::spawn(async move {
                if let Err(error) = pump.await {
                    tracing::warn!(%error, slot, "a worker's output cannot be read");
                }
            })
        });
        Self { tail, pumps: pumps.into() }
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
        lock(&self.tail).text()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for pump in &self.pumps {
            pump.abort();
        }
    }
}

fn lock(tail: &Mutex<Tail>) -> std::sync::MutexGuard<'_, Tail> {
    // A tail of text is fit to read after any panic.
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}
