//! `system stop`, `start`, `exclude`, `clear-exclude`: operations on ranks, rank by rank (R166, W37).

use daos_control::client::{ClientError, HostSet, OperationReport, Selection, StopMode};

use crate::cli::{Exclude, Ranks, Start, Stop};
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

/// The ranks that options name.
pub fn selection(ranks: &Ranks) -> Result<Selection, Failure> {
    let parsed = match (&ranks.ranks, &ranks.rank_hosts) {
        (Some(ranks), _) => Selection::Ranks(ranks.parse().map_err(ClientError::RankSet)?),
        (None, Some(hosts)) => {
            Selection::Hosts(HostSet::parse(hosts).map_err(ClientError::HostList)?)
        }
        (None, None) => Selection::All,
    };
    match &parsed {
        Selection::Ranks(ranks) if ranks.is_empty() => Err(Failure::text("--ranks names no rank")),
        _ => Ok(parsed),
    }
}

pub async fn stop(session: &Session, options: Stop) -> Result<Outcome, Failure> {
    let selection = selection(&options.ranks)?;
    let mode = if options.full { StopMode::Graceful } else { StopMode::Kill };
    tracing::debug!(?mode, force = options.force, "stopping ranks");
    let report =
        session.client()?.system_stop(&selection, mode, options.ignore_admin_excluded).await?;
    Ok(outcome(&report))
}

pub async fn start(session: &Session, options: Start) -> Result<Outcome, Failure> {
    let selection = selection(&options.ranks)?;
    let report = session.client()?.system_start(&selection, options.ignore_admin_excluded).await?;
    Ok(outcome(&report))
}

pub async fn exclude(session: &Session, options: Exclude, clear: bool) -> Result<Outcome, Failure> {
    let selection = selection(&options.ranks)?;
    if selection == Selection::All {
        return Err(Failure::text("no ranks or hosts were named: use --ranks or --rank-hosts"));
    }
    Ok(outcome(&session.client()?.system_exclude(&selection, clear).await?))
}

/// The table of results; what failed and what is not there make the exit status 1.
pub fn outcome(report: &OperationReport) -> Outcome {
    Outcome {
        stdout: print::operations(report),
        stderr: print::absent(&Default::default(), &report.absent_hosts),
        response: json::operations(report).into(),
        failure: failure(report),
    }
}

fn failure(report: &OperationReport) -> Option<Failure> {
    let mut texts = Vec::new();
    if !report.absent_hosts.is_empty() {
        texts.push(format!("non-existent hosts {}", report.absent_hosts));
    }
    if !report.absent_ranks.is_empty() {
        texts.push(format!("non-existent ranks {}", report.absent_ranks));
    }
    let errored: daos_control::client::RankSet =
        report.results.iter().filter(|result| result.errored).map(|result| result.rank).collect();
    if !errored.is_empty() {
        texts.push(format!("check results for ranks {errored}"));
    }
    (!texts.is_empty()).then(|| Failure::text(texts.join(", ")))
}
