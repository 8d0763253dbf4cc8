//! The task of one slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::launch::{Launched, launch};
use super::{Ending, Office};
use crate::config::PoolConfig;
use crate::error::Cause;
use crate::transport::Listener;

/// What the pool wants of a slot's keeper.
#[derive(Debug)]
pub(crate) enum Order {
    /// Fill the slot after this long.
    Start { generation: u64, after: Duration },
    /// Let the worker finish and exit.
    Stop(Cause),
    /// End it now: SIGTERM, SIGKILL a second later.
    Kill(Cause),
    /// End it at once: its pool is gone, and whoever closed it has no patience.
    End,
}

/// Orders as a keeper receives them.
pub(super) type Orders = mpsc::UnboundedReceiver<Order>;

/// What a keeper needs.
pub(crate) struct Keeper<O> {
    pub(crate) office: Arc<O>,
    pub(crate) config: Arc<PoolConfig>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) slot: usize,
    pub(crate) orders: Orders,
}

impl<O: Office> Keeper<O> {
    /// Serves the slot until the pool drops its end of the orders.
    pub(crate) async fn run(mut self) {
        while let Some(order) = self.orders.recv().await {
            if let Order::Start { generation, after } = order
                && self.pause(after).await
            {
                self.live(generation).await;
            }
            // Anything else is about a worker that is gone already.
        }
    }

    /// Waits before a start. False: the start is off.
    async fn pause(&mut self, after: Duration) -> bool {
        if after.is_zero() {
            return true;
        }
        let pause = tokio::time::sleep(after);
        tokio::pin!(pause);
        tokio::select! {
            () = &mut pause => true,
            _ = self.orders.recv() => false,
        }
    }

    /// The whole life of one worker.
    async fn live(&mut self, generation: u64) {
        let Some(limit) = self.office.starting(self.slot, generation) else { return };
        let worker = self.office.name(self.slot);
        tracing::debug!(%worker, generation, "starting");
        match launch(self, &worker, limit).await {
            Ok(launched) => {
                let Launched { mut process, mut inbox, port, tools, python, frames } = launched;
                self.office.runs_in(self.slot, python);
                self.office.ready(self.slot, port.clone(), tools);
                let report = process.watch(self, &mut inbox, &port, frames).await;
                tracing::debug!(%worker, generation, exit = %report, "gone");
                self.office.gone(self.slot, Ending::Died(report));
                drop(port);
                // The slot's memory and devices are free only when the whole tree is.
                process.reap().await;
            }
            Err((failure, process)) => {
                tracing::debug!(%worker, generation, reason = failure.reason, "start failed");
                if let Some(mut process) = process {
                    process.reap().await;
                }
                self.office.gone(self.slot, Ending::NeverReady(failure));
            }
        }
    }
}
