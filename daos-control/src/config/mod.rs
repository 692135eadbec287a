//! Configuration of a storage node: two generations of keys, one validated model.
//!
//! Owns reading, layering, checking, saving and converting `daos_server.yml`. Called by the server, by
//! `daos_server config` and, for `yaml` alone, by the client. Must not know providers, engines or the wire.

pub mod yaml;

#[cfg(feature = "server")]
mod active;
#[cfg(feature = "server")]
mod command_line;
#[cfg(feature = "server")]
pub mod commands;
#[cfg(feature = "server")]
pub mod convert;
#[cfg(feature = "server")]
mod defaults;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod fault_domain;
#[cfg(feature = "server")]
mod load;
#[cfg(feature = "server")]
mod memory;
#[cfg(feature = "server")]
pub mod model;
#[cfg(feature = "server")]
pub mod raw;
#[cfg(feature = "server")]
mod schema;
#[cfg(feature = "server")]
pub mod sizing;
#[cfg(all(test, feature = "server"))]
pub(crate) mod testing;
#[cfg(feature = "server")]
mod validate;

#[cfg(feature = "server")]
pub(crate) use self::validate::{INVALID, storage_key, vmd_of};
#[cfg(feature = "server")]
pub use self::{
    active::{ACTIVE_FILE_NAME, NotSaved, save_active},
    command_line::CommandLine,
    defaults::*,
    error::{ConfigError, ConfigFault, Notice},
    fault_domain::{FaultDomainError, check_fault_path, fault_path},
    load::{
        Loaded, Surroundings, built_in, default_state_dir, load, parse, resolve_path, state_dir_of,
    },
    memory::{HostMemory, MeminfoError},
    model::*,
    validate::{Refused, Validated, validate},
};
