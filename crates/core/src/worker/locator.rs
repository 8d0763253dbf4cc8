//! What the pool holds of a worker to ask where its threads are, from when it has dialled in.

use std::sync::{Arc, Weak};

use crate::process::{Control, ToWorker, Way};

/// Asks one worker, also while its adapter loads. Keeps nothing of it alive: to drop the last end of
/// a control socket is to end the worker.
#[derive(Clone, Debug)]
pub(crate) struct Locator(Option<Weak<Control>>);

impl Locator {
    /// None: its program does not read the socket.
    pub(super) fn new(control: Option<&Arc<Control>>) -> Self {
        Self(control.map(Arc::downgrade))
    }

    /// Whether its program says that it reads what is asked.
    pub(crate) fn hears(&self) -> bool {
        self.0.is_some()
    }

    /// Asks where its threads are, and lets it go on. One that is gone is asked nothing.
    pub(crate) fn locate(&self, nonce: u64, way: Way) {
        let Some(control) = self.0.as_ref().and_then(Weak::upgrade) else { return };
        if let Err(error) = control.send(&ToWorker::Locate { nonce, way }, &[]) {
            tracing::debug!(%error, "control socket refused a question");
        }
    }
}
