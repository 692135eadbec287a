//! What `daos_server config check|convert|schema` say. The program only prints it.

use std::path::Path;

use super::convert::to_tiers;
use super::load::{Loaded, Surroundings, load};
use super::validate::DOMAIN;
use super::{CommandLine, ConfigError, ConfigFault, DataPlane};
use crate::fault::{Fault, code};

pub use super::schema::schema;

/// A command's result: what goes to stdout and what goes to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Result, with a closing newline.
    pub text: String,
    /// What should be known, one line each.
    pub notices: Vec<String>,
}

/// Checks a file without looking at this host.
///
/// # Errors
/// The file's faults, all broken rules at once.
pub fn check(file: &Path) -> Result<Told, ConfigError> {
    let loaded = read(file)?;
    let config = &loaded.config;
    let data_plane = match config.data_plane {
        DataPlane::Engine => "engine",
        DataPlane::Emulated => "emulated",
    };
    let mut text = format!(
        "{} is valid: system {}, port {}, data plane {data_plane}, {} engine(s)\n",
        loaded.path.display(),
        config.name,
        config.port,
        config.engines.len()
    );
    for engine in &config.engines {
        let tiers = engine
            .bdevs
            .iter()
            .map(|tier| format!(", {} x {}", tier.media.device_count(), tier.media.class_name()));
        text.push_str(&format!(
            "  engine {}: {} on {}, SCM {} at {}{}\n",
            engine.index,
            engine.fabric.provider,
            engine.fabric.interface,
            engine.scm.class_name(),
            engine.scm.mount().display(),
            tiers.collect::<String>()
        ));
    }
    Ok(Told { text, notices: loaded.notices.iter().map(ToString::to_string).collect() })
}

/// Prints the 2.8 form of a file.
///
/// # Errors
/// The file's faults, or fault 1321 for each key without such a form.
pub fn convert(file: &Path) -> Result<Told, ConfigError> {
    let loaded = read(file)?;
    let converted = to_tiers(&loaded.written).map_err(|refused| no_form(&loaded, refused))?;
    let text = serde_saphyr::to_string(&converted.keys).map_err(|error| {
        ConfigError::Unreadable { path: loaded.path.clone(), source: std::io::Error::other(error) }
    })?;
    let left_out = converted.left_out.iter().map(|(key, why)| format!("{key}: left out: {why}"));
    let notices = loaded.notices.iter().map(ToString::to_string).chain(left_out).collect();
    Ok(Told { text, notices })
}

fn no_form(loaded: &Loaded, refused: Vec<super::convert::NoForm>) -> ConfigError {
    let faults = refused.into_iter().map(|no_form| ConfigFault {
        position: loaded.outline.nearest_position(&no_form.key),
        fault: Fault::new(
            DOMAIN,
            code::CONFIG_NO_2_8_FORM,
            "the key has no form in DAOS 2.8",
            no_form.why,
        ),
        key: no_form.key,
    });
    ConfigError::Invalid {
        path: loaded.path.clone(),
        faults: faults.collect(),
        notices: loaded.notices.clone(),
    }
}

fn read(file: &Path) -> Result<Loaded, ConfigError> {
    let surroundings = Surroundings::of_this_process()
        .map_err(|source| ConfigError::Unreadable { path: file.to_owned(), source })?;
    load(Some(file), &CommandLine::default(), &surroundings)
}
