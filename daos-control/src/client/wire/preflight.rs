//! Wire forms of the preflight.

use daos_proto::daosx::v1;
use daos_proto::daosx::v1::preflight_client::PreflightClient;

use super::{malformed, stub};
use crate::client::HostAddr;
use crate::client::connect::Connection;
use crate::preflight::{Evidence, Finding, Report, Severity};
use crate::wire::CallError;

pub(in crate::client) async fn check(
    connection: Connection,
    sys: String,
) -> Result<Report, CallError> {
    let host = connection.host().clone();
    let answer = connection
        .call(v1::PreflightReq { sys }, |channel, request| async move {
            stub!(PreflightClient, channel).check(request).await
        })
        .await?;
    let v1::PreflightResp { config, data_plane, findings } = answer;
    let findings = findings.into_iter().map(|found| finding(&host, found));
    Ok(Report { config, data_plane, findings: findings.collect::<Result<_, _>>()? })
}

fn finding(host: &HostAddr, found: v1::PreflightFinding) -> Result<Finding, CallError> {
    let severity = match found.severity() {
        v1::PreflightSeverity::Ok => Severity::Ok,
        v1::PreflightSeverity::Notice => Severity::Notice,
        v1::PreflightSeverity::Warning => Severity::Warning,
        v1::PreflightSeverity::Error => Severity::Error,
        v1::PreflightSeverity::Unspecified => {
            return Err(malformed(host, format!("severity {} of a finding", found.severity)));
        }
    };
    let v1::PreflightFinding { rule, fault, subject, text, key, line, evidence, fix, .. } = found;
    let evidence =
        evidence.into_iter().map(|each| Evidence { source: each.source, seen: each.seen });
    Ok(Finding {
        rule,
        severity,
        code: fault,
        subject,
        text,
        key,
        line: (line != 0).then_some(line),
        evidence: evidence.collect(),
        fix,
    })
}
