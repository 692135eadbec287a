//! Small helpers for tests of the configuration.

use std::path::{Path, PathBuf};

use daos_control::config::{
    CommandLine, ConfigError, ConfigFault, Loaded, Notice, ServerConfig, Surroundings, parse,
};

/// Surroundings that no machine differs in.
pub fn surroundings() -> Surroundings {
    Surroundings {
        current_dir: PathBuf::from("/"),
        executable: PathBuf::from("/opt/daos/bin/daos_server"),
        default_state_dir: PathBuf::from("/var/lib/daos_server"),
    }
}

pub fn load(text: &str) -> Result<Loaded, ConfigError> {
    load_with(text, &CommandLine::default())
}

pub fn load_with(text: &str, command_line: &CommandLine) -> Result<Loaded, ConfigError> {
    parse(text.as_bytes(), PathBuf::from("daos_server.yml"), command_line, &surroundings())
}

/// The configuration of a text that must break no rule.
pub fn valid(text: &str) -> ServerConfig {
    valid_with(text, &CommandLine::default())
}

pub fn valid_with(text: &str, command_line: &CommandLine) -> ServerConfig {
    match load_with(text, command_line) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{}\n{text}", error.report()),
    }
}

/// The broken rules of a text that must break some.
pub fn refused(text: &str) -> Vec<ConfigFault> {
    match load(text) {
        Err(ConfigError::Invalid { faults, .. }) => faults,
        other => panic!("{other:?}\n{text}"),
    }
}

pub fn notices(text: &str) -> Vec<Notice> {
    match load(text) {
        Ok(loaded) => loaded.notices,
        Err(error) => panic!("{}\n{text}", error.report()),
    }
}

/// The workspace this crate lies in.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

pub fn read(path: &str) -> String {
    let path = workspace().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
