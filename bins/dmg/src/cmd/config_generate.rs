//! `config generate`: what hosts have becomes what they should be configured with.

use daos_control::Fault;
use daos_control::client::HostAddr;
use daos_control::generate::{GenerateError, HostFacts, Options, Proposal, propose, write_files};
use serde_json::{Value, json};

use super::partial::Failed;
use crate::cli::ConfigGenerate;
use crate::outcome::{Failure, Outcome};
use crate::print::HostNames;
use crate::session::Session;

pub async fn run(session: &Session, asked: ConfigGenerate) -> Result<Outcome, Failure> {
    let client = session.client()?;
    let results = client.hardware().await;
    let mut failed = Failed::of(&results);
    let names = session.host_names();
    let (hosts, facts): (Vec<HostAddr>, Vec<HostFacts>) = results.answers.into_iter().unzip();
    if facts.is_empty() {
        return Ok(without_files(None, None, &failed, names));
    }
    let options = Options {
        system: session.system_name().to_owned(),
        port: client.default_port(),
        insecure: client.is_insecure(),
        ..asked.options
    };
    let proposal = match propose(&facts, &options) {
        Ok(proposal) => proposal,
        Err(error) => return Ok(without_files(None, Some(&error), &failed, names)),
    };
    for refusal in &proposal.refused {
        // Names are made from the addresses, one each, in this order.
        let place = facts.iter().position(|facts| facts.name == refusal.host);
        if let Some(host) = place.and_then(|place| hosts.get(place)) {
            failed.add(host, format!("no configuration: {}", refusal.reasons.join("; ")));
        }
    }
    let stdout = match &asked.directory {
        None => documents(&proposal),
        Some(directory) => match write_files(directory, &proposal) {
            Ok(files) => files.iter().map(|file| format!("{}\n", file.display())).collect(),
            Err(error) => return Ok(without_files(Some(&proposal), Some(&error), &failed, names)),
        },
    };
    Ok(Outcome { stdout, ..outcome(Some(&proposal), &failed, names) })
}

/// Everything but the files. Hosts that did not answer are named also when nothing came out.
fn outcome(proposal: Option<&Proposal>, failed: &Failed, names: HostNames) -> Outcome {
    let notes = proposal.map(|proposal| proposal.notes.as_slice()).unwrap_or_default();
    let notes: String = notes.iter().map(|note| format!("NOTICE: {note}\n")).collect();
    Outcome {
        stdout: String::new(),
        stderr: format!("{notes}{}", failed.table(names)),
        response: response(proposal, failed).into(),
        failure: failed.failure(),
    }
}

/// The error is why, where there is one; else that nobody answered.
fn without_files(
    proposal: Option<&Proposal>,
    error: Option<&GenerateError>,
    failed: &Failed,
    names: HostNames,
) -> Outcome {
    let why = error.map(|error| Failure::fault(Fault::from(error)));
    let outcome = outcome(proposal, failed, names);
    Outcome { failure: why.or(outcome.failure), ..outcome }
}

/// One file, or, for hosts that differ, one document for each group of them.
fn documents(proposal: &Proposal) -> String {
    let documents: Vec<String> = proposal.configs.iter().map(|config| config.yaml()).collect();
    documents.join("---\n")
}

fn response(proposal: Option<&Proposal>, failed: &Failed) -> Value {
    let configs = proposal.map(|proposal| proposal.configs.as_slice()).unwrap_or_default();
    let configs: Vec<Value> = configs
        .iter()
        .map(|config| json!({"hosts": config.hosts, "config": config.yaml()}))
        .collect();
    let notes = proposal.map(|proposal| proposal.notes.as_slice()).unwrap_or_default();
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    json!({
        "host_errors": crate::json::host_errors(failed.by_text()),
        "configs": configs,
        "notes": notes,
    })
}
