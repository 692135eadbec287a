//! `system stop`, `start`, `exclude`, `clear-exclude`, `drain`, `reintegrate`, `cleanup`: operations on ranks, rank by rank
//! (R166, W37).

use daos_control::client::{ClientError, HostSet, OperationReport, Selection, StopMode};

use crate::cli::{Cleanup, ClearExclude, Drain, Exclude, Ranks, Start, Stop};
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

/// Ranks that have to be named, since all of them is never meant.
fn named(ranks: &Ranks) -> Result<Selection, Failure> {
    match selection(ranks)? {
        Selection::All => {
            Err(Failure::text("no ranks or hosts were named: use --ranks or --rank-hosts"))
        }
        named => Ok(named),
    }
}

pub async fn exclude(session: &Session, options: Exclude) -> Result<Outcome, Failure> {
    let selection = named(&options.ranks)?;
    let client = session.client()?;
    let report = match options.force_last_usable {
        true => client.system_exclude_even_last(&selection).await?,
        false => client.system_exclude(&selection, false).await?,
    };
    Ok(outcome(&report))
}

pub async fn clear_exclude(session: &Session, options: ClearExclude) -> Result<Outcome, Failure> {
    let selection = named(&options.ranks)?;
    Ok(outcome(&session.client()?.system_exclude(&selection, true).await?))
}

pub async fn drain(
    session: &Session,
    options: Drain,
    reintegrate: bool,
) -> Result<Outcome, Failure> {
    let selection = named(&options.ranks)?;
    let pools = session.client()?.system_drain(&selection, reintegrate).await?;
    let failed = pools.iter().flat_map(|pool| &pool.results).any(|result| result.errored);
    Ok(Outcome {
        stdout: print::pool_ranks(&pools),
        response: json::pool_ranks(&pools).into(),
        failure: failed.then(|| Failure::text("check results for failed ranks")),
        ..Outcome::default()
    })
}

pub async fn cleanup(session: &Session, options: Cleanup) -> Result<Outcome, Failure> {
    let pools = session.client()?.system_cleanup(&options.machine).await?;
    let failed = pools.iter().any(|pool| pool.status != 0);
    Ok(Outcome {
        stdout: print::cleaned(&options.machine, &pools, options.verbose),
        response: json::cleaned(&pools).into(),
        failure: failed.then(|| Failure::text("check results for failed pools")),
        ..Outcome::default()
    })
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
