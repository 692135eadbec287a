//! What a preflight found.

use daos_proto::daosx::v1::{
    PreflightEvidence, PreflightFinding, PreflightResp, PreflightSeverity,
};

use crate::preflight::{Evidence, Finding, Report, Severity};

/// The answer to a preflight.
#[must_use]
pub fn preflight(report: Report) -> PreflightResp {
    let Report { config, data_plane, findings } = report;
    PreflightResp { config, data_plane, findings: findings.into_iter().map(finding).collect() }
}

fn finding(found: Finding) -> PreflightFinding {
    let Finding { rule, severity, code, subject, text, key, line, evidence, fix } = found;
    let severity = match severity {
        Severity::Ok => PreflightSeverity::Ok,
        Severity::Notice => PreflightSeverity::Notice,
        Severity::Warning => PreflightSeverity::Warning,
        Severity::Error => PreflightSeverity::Error,
    };
    let evidence = evidence.into_iter();
    PreflightFinding {
        rule,
        severity: severity.into(),
        fault: code,
        subject,
        text,
        key,
        line: line.unwrap_or(0),
        evidence: evidence
            .map(|Evidence { source, seen }| PreflightEvidence { source, seen })
            .collect(),
        fix,
    }
}
