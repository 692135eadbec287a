//! `daos_server config check|convert|schema`; `generate` is in its own file.

use anyhow::Result;
use daos_control::config::{ConfigError, commands};

use super::{Faults, generate, print};
use crate::cli::{Config, Global};

/// Reads files and this host; starts nothing.
pub fn run(global: &Global, command: &Config) -> Result<()> {
    let text = match command {
        Config::Check { file } => commands::check(file),
        Config::Convert { file } => commands::convert(file),
        Config::Schema => return print(&commands::schema()),
        Config::Generate(options) => return generate::run(global, options),
    };
    let told = text.map_err(explained)?;
    if global.json {
        let notices: Vec<String> = told.notices.iter().map(ToString::to_string).collect();
        let key = if matches!(command, Config::Check { .. }) { "answer" } else { "config" };
        let object = serde_json::json!({key: told.text.trim_end(), "notices": notices});
        return print(&format!("{object:#}\n"));
    }
    for notice in &told.notices {
        eprintln!("NOTICE: {notice}");
    }
    print(&told.text)
}

/// The form in which configuration errors are printed: all rule faults at once, each with key and line.
pub fn explained(error: ConfigError) -> anyhow::Error {
    match error {
        ConfigError::Invalid { path, faults, notices } => {
            for notice in &notices {
                eprintln!("NOTICE: {notice}");
            }
            let placed = faults.into_iter().map(|found| {
                let at = match found.position {
                    Some(at) => format!("{}:{}: {}", path.display(), at.line, found.key),
                    None => format!("{}: {}", path.display(), found.key),
                };
                let mut fault = found.fault;
                fault.description = format!("{at}: {}", fault.description);
                fault
            });
            Faults(placed.collect()).into()
        }
        other => daos_control::Fault::from(&other).into(),
    }
}
