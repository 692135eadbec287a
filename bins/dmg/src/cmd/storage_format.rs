//! `storage format`: show or ask first, then do exactly what was shown.

use daos_control::Fault;
use daos_control::client::{
    ClientError, Consent, DeviceOutcome, EngineVerdict, FormatMode, FormatPreview, FormatPreviews,
    FormatReport, HostResults,
};

use super::partial::Failed;
use crate::cli::StorageFormat;
use crate::confirm::{self, Answer};
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, options: StorageFormat) -> Result<Outcome, Failure> {
    let client = session.client()?;
    let mode = match (options.reformat, options.replace) {
        (true, _) => FormatMode::Reformat,
        (false, true) => FormatMode::Replace,
        (false, false) => FormatMode::Waiting,
    };
    if mode == FormatMode::Replace && client.hosts().len() != 1 {
        return Err(Failure::text("--replace is for exactly one host: name it with -l"));
    }
    let previews = client.plan_format(mode).await;
    if options.dry_run {
        return Ok(dry_run(session, &previews));
    }
    let accepted = previews.accept(consent(session, &previews, options.yes))?;
    let applied = client.apply_format(accepted).await?;
    Ok(report(session, &options, &previews, &applied))
}

/// Asks only when something may be lost.
fn consent(session: &Session, previews: &FormatPreviews, agreed: bool) -> Consent {
    if !previews.may_destroy() {
        return Consent::NotAsked;
    }
    match confirm::ask(&print::losses(previews, session.host_names()), agreed) {
        Answer::Yes => Consent::Given,
        Answer::No | Answer::CannotAsk => Consent::NotAsked,
    }
}

fn dry_run(session: &Session, previews: &FormatPreviews) -> Outcome {
    let mut failed = Failed::of(&previews.hosts);
    for (host, preview) in &previews.hosts.answers {
        let FormatPreview::Plan(plan) = preview else { continue };
        for engine in &plan.engines {
            if let EngineVerdict::Refused(fault) = &engine.verdict {
                failed.add_fault(host, &format!("engine {}", engine.index), fault);
            }
            let refused = engine.devices.iter().filter(|_| engine.verdict == EngineVerdict::Format);
            for (device, fault) in refused.filter_map(|d| Some((d, d.refused.as_ref()?))) {
                failed.add_fault(host, &device.device, fault);
            }
        }
    }
    let unplanned = previews.unplanned();
    let no_plan =
        (!unplanned.is_empty()).then(|| ClientError::NoPlanService { hosts: unplanned.clone() });
    for host in unplanned.iter() {
        failed.add(host, "host has no plan service, so what a format would do is not known");
    }
    let names = session.host_names();
    Outcome {
        stdout: print::plans(previews, names),
        stderr: failed.table(names),
        response: json::plans(previews, failed.by_text()).into(),
        failure: no_plan.map(Failure::from).or_else(|| failed.failure()),
    }
}

fn report(
    session: &Session,
    options: &StorageFormat,
    previews: &FormatPreviews,
    applied: &HostResults<FormatReport>,
) -> Outcome {
    let mut failed = Failed::of(applied);
    failed.merge(Failed::of(&previews.hosts));
    for (host, report) in &applied.answers {
        for (device, fault) in report.failures() {
            failed.add_fault(host, &device.device, fault);
        }
    }
    let names = session.host_names();
    let idle = nothing_done(applied).map(Failure::fault);
    Outcome {
        stdout: print::format_results(applied, options.verbose, names),
        stderr: failed.table(names),
        response: json::format_results(applied, failed.by_text()).into(),
        failure: failed.failure().or(idle),
    }
}

/// The fault of a format that found everything formatted already (R5): `None` as soon as anything was formatted.
fn nothing_done(applied: &HostResults<FormatReport>) -> Option<Fault> {
    let outcomes = applied
        .answers
        .iter()
        .flat_map(|(_, report)| &report.devices)
        .map(|device| &device.outcome);
    let mut already = None;
    for outcome in outcomes {
        match outcome {
            DeviceOutcome::Formatted | DeviceOutcome::Failed(_) => return None,
            DeviceOutcome::AlreadyFormatted(Some(fault)) => {
                already = already.or_else(|| Some(fault.clone()))
            }
            DeviceOutcome::AlreadyFormatted(None) | DeviceOutcome::Skipped(_) => {}
        }
    }
    already
}
