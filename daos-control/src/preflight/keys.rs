//! Where the keys of a configuration stand, so that a finding names the line that asks for something.

use std::path::PathBuf;

use crate::config::yaml::Outline;
use crate::config::{DataPlane, Loaded, ServerConfig, storage_key};

/// A configuration's file and the places of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigKeys {
    /// The file.
    pub path: PathBuf,
    /// `engines` or `servers`.
    pub engine_list: &'static str,
    /// Its keys.
    pub outline: Outline,
}

impl ConfigKeys {
    /// Of a file that was read.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Self {
        Self {
            path: loaded.path.clone(),
            engine_list: loaded.engine_list_key(),
            outline: loaded.outline.clone(),
        }
    }
}

/// The configuration a host is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is configured.
    pub config: &'a ServerConfig,
    /// Where it says so.
    pub keys: &'a ConfigKeys,
}

impl Asked<'_> {
    /// The path of a key of one engine.
    pub(super) fn engine_key(&self, index: u32, key: &str) -> String {
        format!("{}[{index}].{key}", self.keys.engine_list)
    }

    /// The path of an engine's storage key, in whichever generation and tier it is written.
    pub(super) fn storage_key(&self, index: u32, key: &str) -> String {
        let engine = format!("{}[{index}]", self.keys.engine_list);
        storage_key(&self.keys.outline, &engine, key)
    }

    /// Whether real engines are to run, which is what most rules protect.
    pub(super) fn real(&self) -> bool {
        self.config.data_plane == DataPlane::Engine
    }
}
