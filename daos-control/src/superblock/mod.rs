//! The superblock: the file that makes an engine's storage formatted and says which engine it is (contract 5.2).
//!
//! `model` is its value and text, `file` reads and writes it, `home` says where it lies. Called by the
//! start table, the format and the engine tasks. Knows nothing of mounts: the caller makes sure that the
//! directory is the right one. The file is the last thing a format writes (R151), so its presence is the only
//! sign of "formatted", and nobody overwrites one that cannot be read (W13).

mod error;
mod file;
mod home;
mod model;

pub use error::SuperblockError;
pub use file::{SuperblockState, load, set_aside, store, was_set_aside};
pub use home::EngineHome;
pub use model::{GivenDevice, SeedRoles, Superblock};
