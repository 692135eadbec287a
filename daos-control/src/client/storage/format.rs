//! Planning and applying a format on many hosts (contract 1.9, 7.4).
//!
//! Hosts with the plan service are planned and applied by digest. For stock servers the check of stock clients is
//! made first: a management service that answers means a running system, which is not formatted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::{
    AcceptedFormat, EngineVerdict, FormatMode, FormatPlan, FormatPreview, FormatPreviews, Medium,
};
use super::scan::Roles;
use crate::Fault;
use crate::client::error::ClientError;
use crate::client::fanout::{HostResults, fan_out};
use crate::client::host_list::HostAddr;
use crate::client::system::SystemQuery;
use crate::client::wire;
use crate::client::{Client, DEFAULT_TIMEOUT};
use crate::fault::code;
use crate::wire::CallError;

/// Time for a format: real SSDs take minutes each.
const FORMAT_TIMEOUT: Duration = Duration::from_secs(1800);

/// What a format did on one host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FormatReport {
    /// Device by device (R132).
    pub devices: Vec<DeviceReport>,
}

/// What a format did to one device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceReport {
    /// What it is used for.
    pub medium: Medium,
    /// Mount point, path or PCI address; empty when a whole part was left out.
    pub device: String,
    /// What became of it.
    pub outcome: DeviceOutcome,
    /// Roles it got.
    pub roles: Roles,
}

/// What became of a device.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceOutcome {
    /// Formatted.
    Formatted,
    /// It was formatted before, and is left alone.
    AlreadyFormatted(Option<Fault>),
    /// Left out, and why.
    Skipped(String),
    /// It failed; the others are not affected.
    Failed(Fault),
}

impl FormatReport {
    /// What a plan that has nothing to do comes to: each engine is formatted already, or cannot be.
    fn of_idle(plan: &FormatPlan) -> Self {
        let mut devices = Vec::new();
        for engine in &plan.engines {
            let outcome = match &engine.verdict {
                EngineVerdict::Format => continue,
                EngineVerdict::AlreadyFormatted(fault) => {
                    DeviceOutcome::AlreadyFormatted(fault.clone())
                }
                EngineVerdict::Refused(fault) => DeviceOutcome::Failed(fault.clone()),
            };
            let scm = engine.devices.iter().find(|device| device.medium == Medium::Scm);
            let device =
                scm.map_or_else(|| format!("engine {}", engine.index), |scm| scm.device.clone());
            devices.push(DeviceReport {
                medium: Medium::Scm,
                device,
                outcome,
                roles: Roles::default(),
            });
        }
        Self { devices }
    }

    /// The failures of this host.
    pub fn failures(&self) -> impl Iterator<Item = (&DeviceReport, &Fault)> {
        self.devices.iter().filter_map(|device| match &device.outcome {
            DeviceOutcome::Failed(fault) => Some((device, fault)),
            _ => None,
        })
    }
}

impl Client {
    /// Asks every host what a format would do. Changes nothing.
    pub async fn plan_format(&self, mode: FormatMode) -> FormatPreviews {
        let hosts = self
            .ask_hosts(DEFAULT_TIMEOUT, move |connection| async move {
                match wire::storage::plan_format(connection, mode).await {
                    Ok(plan) => Ok(FormatPreview::Plan(plan)),
                    Err(CallError::Unimplemented(_)) => Ok(FormatPreview::Unplanned),
                    Err(error) => Err(error),
                }
            })
            .await;
        FormatPreviews { mode, hosts }
    }

    /// Formats what was agreed to. A host whose plan has changed since refuses.
    ///
    /// # Errors
    /// Nothing is formatted at all when a stock server is among the hosts and its system runs (509), or when that
    /// cannot be found out.
    pub async fn apply_format(
        &self,
        accepted: AcceptedFormat,
    ) -> Result<HostResults<FormatReport>, ClientError> {
        self.check_not_running(&accepted.unplanned).await?;
        let AcceptedFormat { mode, planned, unplanned } = accepted;
        let (idle, planned): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|(_, plan)| plan.digest.is_empty());
        let digests: BTreeMap<HostAddr, String> =
            planned.into_iter().map(|(host, plan)| (host, plan.digest)).collect();
        let hosts: Vec<HostAddr> = digests.keys().cloned().chain(unplanned).collect();
        let limit = self.limit(FORMAT_TIMEOUT);
        let mut results = fan_out(self.connector.clone(), hosts, limit, |connection| {
            let digest = digests.get(connection.host()).cloned();
            async move {
                match digest {
                    Some(digest) => wire::storage::apply_format(connection, mode, digest).await,
                    None => wire::storage::stock_format(connection, mode).await,
                }
            }
        })
        .await;
        for (host, error) in &mut results.failures {
            if let Some(fault) = cut_off(host, error) {
                *error = ClientError::Call(CallError::Fault(fault));
            }
        }
        for (host, plan) in idle {
            results.answers.push((host, FormatReport::of_idle(&plan)));
        }
        results.answers.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(results)
    }

    /// The check that stock clients make (contract 1.9): each of the hosts is asked for the system; an answer means
    /// that it runs.
    async fn check_not_running(&self, hosts: &[HostAddr]) -> Result<(), ClientError> {
        for host in hosts {
            let one = self.clone().with_hosts([host.clone()].into_iter().collect());
            match one.system_query(&SystemQuery::default()).await {
                Ok(_) => return Err(ClientError::FormatRunningSystem),
                Err(error) if error.call().is_some_and(proves_nothing_runs) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A connection that was closed while its host formatted: it answered a moment before, so certificates are not the reason.
fn cut_off(host: &HostAddr, error: &ClientError) -> Option<Fault> {
    let ClientError::Call(CallError::Fault(closed)) = error else { return None };
    (closed.code == code::CLIENT_CONNECTION_CLOSED).then(|| {
        let text = format!("host {host} closed the connection before it told what became of the format");
        let remedy = "its daos_server ended, or the network was cut: start it, then look at dmg storage format --dry-run for \
                      what the format left, which may be half done";
        Fault::new("client", code::CLIENT_FORMAT_CUT_OFF, text, remedy)
            .with_reason(&closed.reason)
    })
}

fn proves_nothing_runs(error: &CallError) -> bool {
    error.is_not_ready() || error.is_connection_failure()
}

#[cfg(test)]
mod tests {
    use super::{cut_off, proves_nothing_runs};
    use crate::client::error::ClientError;
    use crate::client::host_list::HostAddr;
    use crate::fault::{Fault, code};
    use crate::wire::CallError;

    #[test]
    fn a_connection_that_closes_during_a_format_is_told_as_that() {
        let host = HostAddr::parse("n1:10001").expect("an address");
        let call =
            |number| CallError::Fault(Fault::new("client", number, "closed", "certificates"));
        let told = |number| cut_off(&host, &ClientError::Call(call(number)));
        let fault = told(code::CLIENT_CONNECTION_CLOSED).expect("told");
        assert_eq!(fault.code, code::CLIENT_FORMAT_CUT_OFF);
        assert!(fault.resolution.contains("--dry-run"), "{fault}");
        assert!(!fault.resolution.contains("certificates"), "{fault}");
        assert_eq!(told(code::CLIENT_CONNECTION_REFUSED), None);
        assert!(!proves_nothing_runs(&call(code::CLIENT_RPC_TIMEOUT)));
    }
}
