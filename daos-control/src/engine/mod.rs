//! One engine of this host, from "what is on its storage" to "running with a rank".
//!
//! `state` names what an engine can be, `machine` decides (pure), `instance` acts (one task per engine), `fleet`
//! is the handle through which the rest of the server speaks to all of them. Must not know gRPC nor protobuf.

mod devices;
mod fleet;
mod gate;
mod instance;
mod looks;
mod machine;
mod outcome;
mod state;

pub use devices::DevicesOfEngine;
pub use fleet::Engines;
pub use gate::{StorageGate, StorageHold};
pub use instance::{EngineDeeds, EngineParts, EngineTask};
pub use machine::{Action, Event, Looked, Machine, Settled};
pub use outcome::{RankAction, RankOutcome};
pub use state::{AfterStop, EngineState, EngineStatus, StopReason};
