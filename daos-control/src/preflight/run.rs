//! One preflight from beginning to end: read the configuration, look, check, report. Used by the program and the gRPC edge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use daos_storage_nvme::BdevProvider;
use daos_storage_scm::ScmProvider;

use super::check::{Findings, Problem, check};
use super::finding::{Finding, Severity};
use super::keys::{Asked, ConfigKeys};
use super::observe::{Roots, foreseen, observe};
use super::report::Report;
use super::rules::Rule;
use crate::config::{self, CommandLine, ConfigError, ConfigFault, Loaded, Notice, Surroundings};
use crate::fault::Fault;

/// What a preflight looks with.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// Where the kernel shows itself.
    pub roots: Roots,
    /// Who looks at storage class memory.
    pub scm: Arc<dyn ScmProvider>,
    /// Who lists NVMe controllers and looks at block devices.
    pub bdev: Arc<dyn BdevProvider>,
    /// Where state lies when no configuration says so.
    pub state_dir: PathBuf,
}

impl Preflight {
    /// Checks this host against a configuration, or alone.
    ///
    /// # Errors
    /// When the host cannot be looked at.
    pub async fn report(&self, asked: Option<Asked<'_>>) -> Result<Report, Fault> {
        let mut facts = observe(&self.roots, &*self.bdev, asked, &self.state_dir).await?;
        if let Some(asked) = asked {
            facts.storage = foreseen(asked, &*self.scm, &*self.bdev).await;
        }
        let findings = check(asked, &facts);
        let Some(asked) = asked else { return Ok(Report { findings, ..Report::default() }) };
        let data_plane = if asked.real() { "engine" } else { "emulated" };
        Ok(Report {
            config: asked.keys.path.display().to_string(),
            data_plane: data_plane.to_owned(),
            findings,
        })
    }

    /// Finds and reads the configuration first. One with faults is told with all of them, and the host is then looked at alone;
    /// without a file the host is looked at alone.
    ///
    /// # Errors
    /// A file that was named and is not there; otherwise as [`Preflight::report`].
    pub async fn of_file(
        &self,
        given: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<Report, Fault> {
        match config::load(given, &CommandLine::default(), surroundings) {
            Ok(loaded) => {
                let keys = ConfigKeys::of(&loaded);
                let mut report =
                    self.report(Some(Asked { config: &loaded.config, keys: &keys })).await?;
                report.findings.splice(0..0, accepted_config(&loaded));
                Ok(report)
            }
            Err(ConfigError::NotFound { .. }) if given.is_none() => self.report(None).await,
            Err(error @ ConfigError::NotFound { .. }) => Err(Fault::from(&error)),
            Err(error) => {
                let mut report = self.report(None).await?;
                let path = config::resolve_path(given, surroundings).unwrap_or_default();
                report.config = path.display().to_string();
                report.findings.splice(0..0, refused_config(&error));
                Ok(report)
            }
        }
    }
}

/// What reading a configuration found that is well.
fn accepted_config(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Findings::new(None);
    let path = loaded.path.display().to_string();
    findings.passed(Rule::Config, "", "follows every rule", &path, "read");
    let mut list = findings.into_list();
    list.extend(loaded.notices.iter().map(noticed));
    list
}

fn noticed(notice: &Notice) -> Finding {
    Finding {
        rule: Rule::Config.row().name.to_owned(),
        severity: Severity::Notice,
        code: 0,
        subject: String::new(),
        text: notice.text.clone(),
        key: notice.key.clone(),
        line: notice.position.and_then(|at| u32::try_from(at.line).ok()),
        evidence: Vec::new(),
        fix: String::new(),
    }
}

/// Every fault of a configuration that is not accepted.
fn refused_config(error: &ConfigError) -> Vec<Finding> {
    let faults = match error {
        ConfigError::Invalid { faults, .. } => faults.clone(),
        other => {
            vec![ConfigFault { key: String::new(), position: None, fault: Fault::from(other) }]
        }
    };
    let mut findings = Findings::new(None);
    let lines: Vec<_> = faults.iter().map(|fault| fault.position.map(|at| at.line)).collect();
    for ConfigFault { key, fault, .. } in faults {
        let Fault { code, description, reason, resolution, .. } = fault;
        // A fault in the form of the text comes with the lines around it; the first line says what is wrong.
        let first = description.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let text = if reason.is_empty() { first.to_owned() } else { format!("{first}: {reason}") };
        let problem = Problem::new(Rule::Config, code, text, resolution).at(key);
        findings.require(problem.seen("the file", "not accepted"));
    }
    let mut list = findings.into_list();
    for (finding, line) in list.iter_mut().zip(lines) {
        finding.line = line.and_then(|line| u32::try_from(line).ok());
    }
    list
}
