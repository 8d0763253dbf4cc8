//! Where a call in a worker waits until the test lets it pass: so that tests need no sleeps.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::soon;

/// A socket that tools of scripted workers visit.
pub struct Gate {
    listener: UnixListener,
    path: PathBuf,
    /// Removed with the gate.
    _folder: tempfile::TempDir,
}

impl Gate {
    /// Opens a gate; needs a runtime around it.
    #[expect(clippy::new_without_default, reason = "it does I/O")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("gate");
        let listener = UnixListener::bind(&path).expect("a fresh socket");
        Self { listener, path, _folder: folder }
    }

    /// What tools take as an argument.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `words` with the gate's path behind them.
    pub fn after(&self, words: &str) -> String {
        format!("{words} {}", self.path.display()).trim_start().to_owned()
    }

    /// Waits for the next call that comes to the gate.
    pub async fn visit(&self) -> Visit {
        let (stream, _) = soon("a call at the gate", self.listener.accept()).await.expect("accept");
        Visit(BufReader::new(stream))
    }
}

/// A call that waits at the gate, running.
pub struct Visit(BufReader<UnixStream>);

impl Visit {
    /// Lets the call pass. One that is gone already is not missed.
    pub async fn release(&mut self) {
        let _ = self.0.write_all(b"\n").await;
    }

    /// The next line that the call says here, None when it has left.
    pub async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        // A worker that died with something unread resets the connection.
        let read = soon("a word from the call", self.0.read_line(&mut line)).await.unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits until the call has ended, or its worker has.
    pub async fn left(mut self) {
        while self.line().await.is_some() {}
    }
}
