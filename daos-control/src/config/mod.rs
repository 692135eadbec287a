//! Configuration of a storage node: two generations of keys, one validated model.
//!
//! Owns reading, layering, checking, saving and converting `daos_server.yml`. Called by the server, by
//! `daos_server config` and, for `yaml` alone, by the client. Must not know providers, engines or the wire.

pub mod yaml;

#[cfg(feature = "server")]
mod defaults;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod model;
#[cfg(feature = "server")]
pub mod raw;
#[cfg(feature = "server")]
mod validate;

#[cfg(feature = "server")]
pub use defaults::*;
#[cfg(feature = "server")]
pub use error::{ConfigError, ConfigFault, Notice};
#[cfg(feature = "server")]
pub use model::*;
#[cfg(feature = "server")]
pub use validate::{Refused, Validated, validate};
