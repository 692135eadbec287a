//! What running engines tell of the block devices they use (contract 7.5): for scans, since nobody else can look at them.

use daos_membership::Rank;
use futures_util::future::join_all;

use super::fleet::Engines;
use super::state::EngineState;
use crate::drpc::{EngineDevice, EngineDeviceHealth};
use crate::fault::Fault;
use crate::supervisor::{Supervisor, SupervisorError};

/// The devices of one engine.
#[derive(Debug)]
pub struct DevicesOfEngine {
    /// Index of the engine.
    pub index: u32,
    /// Its rank.
    pub rank: Option<Rank>,
    /// Its devices, each with its health where that was asked for and told; or why it did not tell.
    pub devices: Result<Vec<(EngineDevice, Option<EngineDeviceHealth>)>, Fault>,
}

impl Engines {
    /// Asks every engine that serves for its devices, side by side, and with `health` for the health of each.
    pub async fn devices(&self, health: bool) -> Vec<DevicesOfEngine> {
        let serving = self
            .states()
            .into_iter()
            .filter(|status| matches!(status.state, EngineState::Running { .. }));
        let asked = serving.map(|status| async move {
            let (index, rank) = (status.index, status.rank);
            let devices = match ask(self.supervisor(), index, health).await {
                // It has just ended, or not quite begun.
                Err(error) if error.is_transient() => Ok(Vec::new()),
                told => told.map_err(Fault::from),
            };
            DevicesOfEngine { index, rank, devices }
        });
        join_all(asked).await
    }
}

async fn ask(
    supervisor: &dyn Supervisor,
    index: u32,
    health: bool,
) -> Result<Vec<(EngineDevice, Option<EngineDeviceHealth>)>, SupervisorError> {
    let (mut found, mut health) = (Vec::new(), health);
    for device in supervisor.devices(index).await? {
        let mut told = None;
        if health {
            match supervisor.device_health(index, &device.uuid).await {
                Ok(answer) => told = Some(answer),
                // It does not answer any more, and each question would wait for that anew.
                Err(SupervisorError::Call { .. }) => health = false,
                // A device that tells no health hides no other.
                Err(_) => {}
            }
        }
        found.push((device, told));
    }
    Ok(found)
}
