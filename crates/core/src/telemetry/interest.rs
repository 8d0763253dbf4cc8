//! That somebody began or ceased to listen, for those who tell only what is heard.
//!
//! One bell for the whole process: who listens to all pools need not know them, and it is rung a few
//! times in a program's life.

use std::sync::OnceLock;

use tokio::sync::watch;

static BELL: OnceLock<watch::Sender<()>> = OnceLock::new();

fn bell() -> &'static watch::Sender<()> {
    BELL.get_or_init(|| watch::channel(()).0)
}

/// Somebody began or ceased to listen. Wakes whoever waits for that, so no lock may be held.
pub(crate) fn changed() {
    bell().send_replace(());
}

/// Hears of changes.
pub(crate) struct Interest(watch::Receiver<()>);

impl Interest {
    /// Of those from now on.
    pub(crate) fn new() -> Self {
        Self(bell().subscribe())
    }

    /// Waits for one.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await // a static's sender is never dropped
        }
    }
}
