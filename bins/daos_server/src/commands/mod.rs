//! One file per command: arguments in, library call, text out.

mod cert;
mod config;
mod generate;
mod ms;
mod network;
mod place;
mod preflight;
mod prepare;
mod scm;
mod start;
mod storage;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use daos_control::Fault;
use serde_json::{Value, json};

use crate::cli::{Cli, Command, Nvme, Storage};

/// Several faults that are reported together.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// An answer that was given already, and an exit status that says what it is.
#[derive(Debug)]
pub struct Told(pub u8);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {}", self.0)
    }
}

impl std::error::Error for Told {}

/// Runs what was asked for.
pub fn run(cli: Cli) -> Result<()> {
    match &cli.command {
        Command::Start(options) => start::run(&cli.global, options),
        Command::Storage(Storage::Scan) => storage::scan(&cli.global),
        Command::Nvme(Nvme::Scan) => storage::scan_nvme(&cli.global),
        Command::Storage(Storage::Prepare(options)) => prepare::storage(&cli.global, options),
        Command::Nvme(Nvme::Prepare(options)) => prepare::nvme(&cli.global, options),
        Command::Nvme(Nvme::Reset(lists)) => prepare::reset(&cli.global, lists),
        Command::Preflight(options) => preflight::run(&cli.global, options),
        Command::Scm(command) => scm::run(&cli.global, command),
        Command::Network(command) => network::run(&cli.global, command),
        Command::Config(command) => config::run(&cli.global, command),
        Command::Cert(command) => cert::run(&cli.global, command),
        Command::Ms(command) => ms::run(&cli.global, command),
        Command::Version => print(&version(cli.global.json)),
    }
}

fn version(json: bool) -> String {
    let (product, daos) = (env!("CARGO_PKG_VERSION"), daos_control::DAOS_VERSION.to_string());
    if json {
        return format!(
            "{}\n",
            json!({"name": "daos_server", "version": product, "daos_version": daos})
        );
    }
    format!("daos_server version {product} (DAOS {daos} on the wire)\n")
}

/// What a command for local storage says in JSON when it failed as a whole.
pub fn failure_data(fault: &Fault) -> Value {
    json!({"error": fault.description, "code": fault.code, "resolution": fault.resolution})
}

static PRINTED: AtomicBool = AtomicBool::new(false);

/// Whether any result was printed.
pub fn has_printed() -> bool {
    PRINTED.load(Ordering::Relaxed)
}

/// Prints a result. A reader that has gone away is not an error.
pub fn print(text: &str) -> Result<()> {
    PRINTED.store(true, Ordering::Relaxed);
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
