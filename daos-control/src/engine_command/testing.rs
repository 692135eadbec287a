//! Configurations for the unit tests of this room.

use std::path::PathBuf;

use crate::config::{self, CommandLine, ServerConfig, Surroundings};

/// The configuration of a text that breaks no rule.
pub(crate) fn config(text: &str) -> ServerConfig {
    let surroundings = Surroundings {
        current_dir: PathBuf::from("/"),
        executable: PathBuf::from("/opt/bin/daos_server"),
        default_state_dir: PathBuf::from("/var/lib/daos_server"),
    };
    let path = PathBuf::from("test.yml");
    match config::parse(text.as_bytes(), path, &CommandLine::default(), &surroundings) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error:?}"),
    }
}
