//! What a format must know of the rest: who uses an engine's storage, and how to close the system database on it.

use std::sync::OnceLock;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::engine::{EngineState, EngineStatus, StorageGate};
use crate::fault::Fault;
use crate::format::{StorageHold, StorageUse, SystemDatabase};
use crate::management::ManagementKeeper;

/// The storage of all engines, each behind its gate.
#[derive(Debug)]
pub struct EngineStorage {
    gates: Vec<StorageGate>,
    states: OnceLock<Vec<watch::Receiver<EngineStatus>>>,
}

impl EngineStorage {
    /// Gates in index order.
    pub fn new(gates: Vec<StorageGate>) -> Self {
        Self { gates, states: OnceLock::new() }
    }

    /// From now on a refusal says what the engine is doing.
    pub fn watch(&self, states: Vec<watch::Receiver<EngineStatus>>) {
        // Told once, at the start of the server.
        let _told_before = self.states.set(states);
    }

    fn doing(&self, index: usize) -> String {
        let seen = self.states.get().and_then(|states| states.get(index));
        seen.map_or_else(
            || "in use".to_owned(),
            |state| state.borrow().state.name().replace('_', " "),
        )
    }
}

#[async_trait]
impl StorageUse for EngineStorage {
    async fn hold(&self, index: u32) -> Result<StorageHold, String> {
        let position = index as usize;
        let gate = self.gates.get(position);
        let gate = gate.ok_or_else(|| format!("engine {index} is not configured"))?;
        loop {
            if let Some(hold) = gate.try_hold() {
                return Ok(Box::new(hold));
            }
            // A look at the storage is short; what an engine does with it otherwise is not.
            let Some(mut state) = self.states.get().and_then(|all| all.get(position)).cloned()
            else {
                return Err("in use".to_owned());
            };
            if state.borrow_and_update().state != EngineState::Checking {
                return gate.try_hold().map_or_else(
                    || Err(self.doing(position)),
                    |hold| Ok(Box::new(hold) as StorageHold),
                );
            }
            if state.changed().await.is_err() {
                return Err("shutting down".to_owned());
            }
        }
    }
}

/// The database of this host's replica.
#[derive(Debug)]
pub struct OpenDatabase(pub ManagementKeeper);

#[async_trait]
impl SystemDatabase for OpenDatabase {
    async fn close(&self) -> Result<(), Fault> {
        self.0.close().await;
        Ok(())
    }

    async fn reopen(&self) -> Result<(), Fault> {
        self.0.reopen().await
    }
}
