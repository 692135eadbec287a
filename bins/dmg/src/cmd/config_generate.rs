//! `config generate`: what hosts have becomes what they should be configured with.

use daos_control::Fault;
use daos_control::client::HostAddr;
use daos_control::generate::{GenerateError, HostFacts, Options, Proposal, propose, write_files};
use serde_json::{Value, json};

use super::partial::Failed;
use crate::cli::ConfigGenerate;
use crate::outcome::{Failure, Outcome};
use crate::session::Session;

pub async fn run(session: &Session, asked: ConfigGenerate) -> Result<Outcome, Failure> {
    let client = session.client()?;
    let results = client.hardware().await;
    let mut failed = Failed::of(&results);
    let names = session.host_names();
    let (hosts, facts): (Vec<HostAddr>, Vec<HostFacts>) = results.answers.into_iter().unzip();
    if facts.is_empty() {
        return Ok(Outcome {
            stderr: failed.table(names),
            failure: failed.failure(),
            ..Outcome::default()
        });
    }
    let options = Options {
        system: session.system_name().to_owned(),
        port: client.default_port(),
        insecure: client.is_insecure(),
        ..asked.options
    };
    let proposal = propose(&facts, &options).map_err(refused)?;
    for refusal in &proposal.refused {
        // Names are made from the addresses, one each, in this order.
        let place = facts.iter().position(|facts| facts.name == refusal.host);
        if let Some(host) = place.and_then(|place| hosts.get(place)) {
            failed.add(host, format!("no configuration: {}", refusal.reasons.join("; ")));
        }
    }
    let stdout = match &asked.directory {
        None => documents(&proposal),
        Some(directory) => {
            let files = write_files(directory, &proposal).map_err(refused)?;
            files.iter().map(|file| format!("{}\n", file.display())).collect()
        }
    };
    let notes: String = proposal.notes.iter().map(|note| format!("NOTICE: {note}\n")).collect();
    Ok(Outcome {
        stdout,
        stderr: format!("{notes}{}", failed.table(names)),
        response: response(&proposal, &failed).into(),
        failure: failed.failure(),
    })
}

fn refused(error: GenerateError) -> Failure {
    Failure::fault(Fault::from(&error))
}

/// One file, or, for hosts that differ, one document for each group of them.
fn documents(proposal: &Proposal) -> String {
    let documents: Vec<String> = proposal.configs.iter().map(|config| config.yaml()).collect();
    documents.join("---\n")
}

fn response(proposal: &Proposal, failed: &Failed) -> Value {
    let configs: Vec<Value> = proposal
        .configs
        .iter()
        .map(|config| json!({"hosts": config.hosts, "config": config.yaml()}))
        .collect();
    let notes: Vec<String> = proposal.notes.iter().map(ToString::to_string).collect();
    json!({
        "host_errors": crate::json::host_errors(failed.by_text()),
        "configs": configs,
        "notes": notes,
    })
}
