//! `system erase`: always asks, since it always destroys.

use daos_control::client::{Client, ClientError, SystemQuery};

use super::system_ranks;
use crate::cli::Erase;
use crate::confirm::{self, Answer};
use crate::outcome::{Failure, Outcome};
use crate::session::Session;

pub async fn run(session: &Session, options: Erase) -> Result<Outcome, Failure> {
    let client = session.client()?;
    // Asked before the administrator is: a question that ends in a refusal is none.
    let ranks = client.ranks_in_use().await?;
    if !ranks.is_empty() {
        return Err(ClientError::RanksRunning { ranks }.into());
    }
    let loss = losses(&client, session.system_name()).await;
    if confirm::ask(&loss, options.yes) != Answer::Yes {
        return Err(Failure::not_confirmed("the system was not erased: not confirmed"));
    }
    let report = client.system_erase().await?;
    let mut outcome = system_ranks::outcome(&report);
    let done = "System erased: its storage waits for a format.\n";
    outcome.stdout =
        if report.results.is_empty() { done.to_owned() } else { outcome.stdout + done };
    Ok(outcome)
}

async fn losses(client: &Client, system: &str) -> String {
    let mut out = format!(
        "Erasing destroys:\n  system {system}: its database and the identity of every rank\n"
    );
    if let Ok(status) = client.system_query(&SystemQuery::default()).await {
        out.push_str(&format!("  ranks: {}\n", status.members.len()));
        if let Ok(pools) = client.list_pools().await {
            let names = pools
                .iter()
                .map(|pool| if pool.label.is_empty() { &pool.uuid } else { &pool.label });
            let names: Vec<&str> = names.map(String::as_str).collect();
            out.push_str(&format!(
                "  pools: {}\n",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ));
        }
    }
    out
}
