//! Which device each worker of a pool gets, and how it is told.

use tokio::task::spawn_blocking;

use crate::config::{PoolOptions, WorkerConfig};
use crate::error::Error;
use crate::hardware;

/// Gives each place its device, where there are some to give.
pub(super) async fn assign_devices(
    worker: &mut WorkerConfig,
    options: &PoolOptions,
) -> Result<(), Error> {
    let Some(devices) = options.devices.clone() else { return Ok(()) };
    // Drivers are asked, which takes as long as they take.
    let asked = spawn_blocking(move || hardware::assign(&devices, &hardware::detect())).await;
    let assigned = asked.unwrap_or_else(|error| Err(error.to_string()));
    let assigned = assigned.map_err(wrong)?;
    let secrets = options.secrets.as_deref().unwrap_or_default();
    for (name, _) in &assigned.variables {
        let told = options.env.as_ref().is_some_and(|env| env.changes(name));
        if told || secrets.iter().any(|secret| secret == name) {
            let message = format!("env and secrets may not name {name}, by which devices are told");
            return Err(wrong(message));
        }
    }
    worker.devices = assigned.devices;
    worker.set_in_turn(assigned.variables);
    Ok(())
}

fn wrong(message: String) -> Error {
    Error::Config { field: "devices", message }
}
