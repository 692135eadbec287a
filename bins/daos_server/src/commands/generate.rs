//! `daos_server config generate` (T8): the file on standard output, what was decided and why on standard error.

use anyhow::Result;
use daos_control::Fault;
use daos_control::generate::{Options, host_facts, propose};
use daos_control::network::{Wanted, scan};
use serde_json::json;

use super::{print, storage};
use crate::cli::{Generate, Global};

/// What this host is called in its own configuration.
const THIS_HOST: &str = "localhost";

/// Looks at this host; needs no configuration file.
pub fn run(global: &Global, asked: &Generate) -> Result<()> {
    let options =
        Options { system: asked.system.clone(), insecure: asked.insecure, ..asked.options.clone() };
    let network = scan(&Wanted::All, &[]).map_err(Fault::from)?.found;
    let facts = host_facts(THIS_HOST, &storage::look(global, false)?, &network);
    let proposal = propose(&[facts], &options).map_err(|error| Fault::from(&error))?;
    for note in &proposal.notes {
        eprintln!("NOTICE: {note}");
    }
    let text: String = proposal.configs.iter().map(|config| config.yaml()).collect();
    if global.json {
        let notes: Vec<String> = proposal.notes.iter().map(ToString::to_string).collect();
        let object = json!({"config": text, "notes": notes});
        return print(&format!("{object:#}\n"));
    }
    print(&text)
}
