//! `system query`, `leader-query` and `list-pools`.

use daos_control::client::{
    Client, ClientError, HostResults, HostSet, HostState, Selection, StateMask, SystemQuery,
    SystemStatus,
};
use daos_control::wire::{CallError, NotReady};

use super::system_ranks::selection;
use crate::cli::{LeaderQuery, ListPools, Query};
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn members(session: &Session, options: &Query) -> Result<Outcome, Failure> {
    let states = match &options.with_states {
        Some(names) => names.parse::<StateMask>().map_err(Failure::text)?,
        None if options.not_ok => StateMask::NOT_OK,
        None => StateMask::ALL,
    };
    let query = SystemQuery { selection: selection(&options.ranks)?, states };
    let client = session.client()?;
    match client.system_query(&query).await {
        Ok(status) => Ok(found(&query, status, options.verbose)),
        Err(error) => nobody_yet(session, &client, error).await,
    }
}

fn found(query: &SystemQuery, status: SystemStatus, verbose: bool) -> Outcome {
    let everybody = query.selection == Selection::All && query.states == StateMask::ALL;
    let table = !verbose && !status.members.is_empty();
    let text = match (status.members.is_empty(), verbose) {
        (true, _) if everybody => NO_MEMBERS.to_owned(),
        (true, _) => "Query matches no ranks in system\n".to_owned(),
        (false, true) => print::members_verbose(&status.members),
        (false, false) => print::members(&status),
    };
    // The short table has a row of its own for ranks that do not exist.
    let absent_ranks = if table { Default::default() } else { status.absent_ranks.clone() };
    Outcome {
        stdout: text
            + &print::self_heal_notice(&status.self_heal)
            + &print::held_deaths(status.answered_by.as_ref())
            + &print::answered_by(status.answered_by.as_ref())
            + print::insecure_notice(status.insecure),
        stderr: print::absent(&absent_ranks, &status.absent_hosts),
        failure: absence(&status),
        response: json::status(status),
    }
}

const NO_MEMBERS: &str = "No members in system\n";

fn absence(status: &SystemStatus) -> Option<Failure> {
    let hosts = (!status.absent_hosts.is_empty())
        .then(|| format!("non-existent hosts {}", status.absent_hosts));
    let ranks = (!status.absent_ranks.is_empty())
        .then(|| format!("non-existent ranks {}", status.absent_ranks));
    let texts: Vec<String> = hosts.into_iter().chain(ranks).collect();
    (!texts.is_empty()).then(|| Failure::text(texts.join(", ")))
}

/// A system that is not formatted yet, or has no member yet, is an answer and not a failure (R165).
async fn nobody_yet(
    session: &Session,
    client: &Client,
    error: ClientError,
) -> Result<Outcome, Failure> {
    let Some(CallError::NotReady(state)) = error.call().cloned() else {
        return Err(error.into());
    };
    if !matches!(state, NotReady::Uninitialized | NotReady::RaftUnavailable) {
        return Err(error.into());
    }
    let states = client.host_states().await;
    let with = |test: fn(&HostState) -> bool| -> HostSet {
        states
            .answers
            .iter()
            .filter(|(_, state)| test(state))
            .map(|(host, _)| host.clone())
            .collect()
    };
    let waiting = with(|host| host.engines.iter().any(|engine| engine.waits_for_format()));
    let ranked = with(|host| host.engines.iter().any(|engine| engine.rank.is_some()));
    let no_engine = with(|host| host.engines.is_empty());
    let none_anywhere = !states.answers.is_empty() && no_engine.len() == states.answers.len();
    let text = if !waiting.is_empty() {
        format!("waiting for storage format on {}\n", session.host_names().set(&waiting))
    } else if none_anywhere {
        format!("no engine is configured on {}\n", session.host_names().set(&no_engine))
    } else if state == NotReady::Uninitialized {
        // Nobody could say more: a stock server, or one whose engine is about to change state.
        format!("{state}\n")
    } else if !states.answers.is_empty() && ranked.is_empty() {
        NO_MEMBERS.to_owned()
    } else {
        return Err(error.into());
    };
    let nobody = SystemStatus { insecure: client.is_insecure(), ..SystemStatus::default() };
    // The envelope has no word for it: members are simply none.
    let (stdout, mut stderr) =
        if session.as_json() { (String::new(), text) } else { (text, String::new()) };
    stderr.push_str(&engines_that_cannot_run(session, &states));
    Ok(Outcome { stdout, stderr, response: json::status(nobody), failure: None })
}

/// Why there are no members: what management services wait for, and engines that ended or may not start, by groups
/// of hosts.
fn engines_that_cannot_run(session: &Session, states: &HostResults<HostState>) -> String {
    let waiting = states.answers.iter().filter(|(_, state)| !state.management.is_empty());
    let waiting =
        waiting.map(|(host, state)| (host, format!("the management service {}", state.management)));
    let lines = states.answers.iter().flat_map(|(host, state)| {
        let engines = state.engines.iter().filter(|engine| engine.cannot_run());
        engines.map(move |engine| {
            (host, format!("engine {} is {}: {}", engine.index, engine.state, engine.reason))
        })
    });
    let groups = print::group_equal(waiting.chain(lines), Clone::clone);
    let names = session.host_names();
    groups.iter().map(|(hosts, line)| format!("{}: {line}\n", names.set(hosts))).collect()
}

pub async fn leader(session: &Session, options: LeaderQuery) -> Result<Outcome, Failure> {
    let leader = session.client()?.leader_query().await?;
    let down = leader.down.join(", ");
    let stdout = if options.down_replicas {
        format!("Unresponsive Replicas: {down}\n")
    } else {
        let replicas = leader.replicas.join(", ");
        let current = &leader.current;
        format!(
            "Current Leader: {current}\n   Replica Set: {replicas}\n  Unresponsive Replicas: {down}\n"
        )
    };
    Ok(Outcome { stdout, response: json::leader(&leader).into(), ..Outcome::default() })
}

pub async fn pools(session: &Session, options: ListPools) -> Result<Outcome, Failure> {
    let pools = session.client()?.list_pools().await?;
    Ok(Outcome {
        stdout: print::pools(&pools, options.verbose),
        response: json::pools(&pools).into(),
        ..Outcome::default()
    })
}
