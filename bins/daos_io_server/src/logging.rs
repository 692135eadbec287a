//! The engine's log: to a file or standard output, at the level that D_LOG_MASK or SET_LOG_MASKS says.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level of the running log.
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

/// Starts the log. Without a file it goes to standard output, which the server relays.
pub fn start(mask: &str, file: Option<&Path>) -> anyhow::Result<LogLevel> {
    let writer = match file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.with_context(|| format!("cannot open log file {}", path.display()))?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(std::io::stdout),
    };
    let (level, handle) = reload::Layer::new(level_of(mask));
    let lines = fmt::layer().with_ansi(false).with_target(false).with_writer(writer);
    tracing_subscriber::registry().with(level).with(lines).try_init()?;
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// Takes a new mask.
    pub fn set(&self, mask: &str) {
        match self.0.reload(level_of(mask)) {
            Ok(()) => tracing::info!(mask, "log levels changed"),
            Err(error) => eprintln!("cannot change the log level: {error}"),
        }
    }
}

/// The base level of a mask such as `ERR,mgmt=DBUG`; subsystems have no meaning here. Without one, errors only.
fn level_of(mask: &str) -> LevelFilter {
    let base = mask.split(',').find(|item| !item.contains('=')).unwrap_or_default();
    match base.to_ascii_uppercase().as_str() {
        "DBUG" | "DEBUG" => LevelFilter::DEBUG,
        "INFO" | "NOTE" => LevelFilter::INFO,
        "WARN" => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_level_counts() {
        assert_eq!(level_of("debug"), LevelFilter::DEBUG);
        assert_eq!(level_of("mgmt=DBUG,INFO"), LevelFilter::INFO);
        assert_eq!(level_of("ERR,vos=DBUG"), LevelFilter::ERROR);
        assert_eq!(level_of(""), LevelFilter::ERROR);
    }
}
