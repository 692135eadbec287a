//! Wire forms of planning and applying a format, ours and the stock one.

use daos_proto::ctl;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::daosx::v1 as ours;
use daos_proto::daosx::v1::storage_client::StorageClient;

use super::super::{malformed, stub};
use super::failure;
use crate::Fault;
use crate::client::HostAddr;
use crate::client::connect::Connection;
use crate::client::storage::{
    DeviceOutcome, DevicePlan, DeviceReport, EnginePlan, EngineVerdict, FormatMode, FormatPlan,
    FormatReport, Medium, Roles,
};
use crate::fault::code;
use crate::wire::CallError;

/// Address of a row that stands for "no device was touched" (contract 2.1).
const NO_DEVICE: &str = "<nil>";
/// What stock servers say about SCM they leave alone (contract 7.4).
const ALREADY_FORMATTED: &str = "already formatted";

pub(in crate::client) async fn plan_format(
    connection: Connection,
    mode: FormatMode,
) -> Result<FormatPlan, CallError> {
    let host = connection.host().clone();
    let message = ours::PlanFormatReq {
        reformat: mode == FormatMode::Reformat,
        replace: mode == FormatMode::Replace,
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(StorageClient, channel).plan_format(request).await
        })
        .await?;
    let engines: Result<Vec<_>, _> = answer.engines.into_iter().map(|e| engine(&host, e)).collect();
    Ok(FormatPlan { digest: answer.digest, destroys: answer.destroys, engines: engines? })
}

fn engine(host: &HostAddr, message: ours::EnginePlan) -> Result<EnginePlan, CallError> {
    let verdict = match (message.verdict.as_str(), message.fault.map(fault)) {
        ("format", _) => EngineVerdict::Format,
        ("already_formatted", fault) => EngineVerdict::AlreadyFormatted(fault),
        ("refused", Some(fault)) => EngineVerdict::Refused(fault),
        ("refused", None) => return Err(malformed(host, "a refused plan without a reason")),
        (other, _) => return Err(malformed(host, format!("verdict {other:?}"))),
    };
    let devices: Result<Vec<_>, _> =
        message.devices.into_iter().map(|d| device_plan(host, d)).collect();
    Ok(EnginePlan {
        index: message.index,
        verdict,
        devices: devices?,
        system_lost: message.system_lost,
    })
}

fn device_plan(host: &HostAddr, message: ours::DevicePlan) -> Result<DevicePlan, CallError> {
    Ok(DevicePlan {
        medium: medium(host, &message.medium)?,
        device: message.device,
        identity: message.identity,
        content: message.content,
        steps: message.steps,
        destroys: message.destroys,
        refused: message.refused.map(fault),
    })
}

fn medium(host: &HostAddr, word: &str) -> Result<Medium, CallError> {
    match word {
        "scm" => Ok(Medium::Scm),
        "nvme" => Ok(Medium::Nvme),
        "metadata" => Ok(Medium::Metadata),
        other => Err(malformed(host, format!("medium {other:?}"))),
    }
}

pub(super) fn fault(message: ours::Fault) -> Fault {
    Fault {
        domain: message.domain.into(),
        code: message.code,
        description: message.description,
        reason: message.reason,
        resolution: message.resolution,
    }
}

pub(in crate::client) async fn apply_format(
    connection: Connection,
    mode: FormatMode,
    digest: String,
) -> Result<FormatReport, CallError> {
    let host = connection.host().clone();
    let message = ours::ApplyFormatReq {
        reformat: mode == FormatMode::Reformat,
        replace: mode == FormatMode::Replace,
        digest,
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(StorageClient, channel).apply_format(request).await
        })
        .await?;
    let devices: Result<Vec<_>, _> =
        answer.results.into_iter().map(|d| device_report(&host, d)).collect();
    Ok(FormatReport { devices: devices? })
}

fn device_report(host: &HostAddr, message: ours::DeviceResult) -> Result<DeviceReport, CallError> {
    let outcome = match (message.outcome.as_str(), message.fault.map(fault)) {
        ("formatted", _) => DeviceOutcome::Formatted,
        ("already_formatted", fault) => DeviceOutcome::AlreadyFormatted(fault),
        ("skipped", _) => DeviceOutcome::Skipped(message.info),
        ("failed", Some(fault)) => DeviceOutcome::Failed(fault),
        ("failed", None) => return Err(malformed(host, "a failure without a reason")),
        (other, _) => return Err(malformed(host, format!("outcome {other:?}"))),
    };
    Ok(DeviceReport {
        medium: medium(host, &message.medium)?,
        device: touched(message.device),
        outcome,
        roles: Roles(message.role_bits),
    })
}

/// The format of a server without the plan service.
pub(in crate::client) async fn stock_format(
    connection: Connection,
    mode: FormatMode,
) -> Result<FormatReport, CallError> {
    let message = ctl::StorageFormatReq {
        nvme: Some(ctl::FormatNvmeReq {}),
        scm: Some(ctl::FormatScmReq {}),
        reformat: mode == FormatMode::Reformat,
        replace: mode == FormatMode::Replace,
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(CtlSvcClient, channel).storage_format(request).await
        })
        .await?;
    let mounts = answer.mrets.into_iter().map(|mount| {
        stock_report(Medium::Scm, mount.mntpoint, mount.state.as_ref(), Roles::default())
    });
    let controllers = answer.crets.into_iter().map(|device| {
        stock_report(Medium::Nvme, device.pci_addr, device.state.as_ref(), Roles(device.role_bits))
    });
    Ok(FormatReport { devices: mounts.chain(controllers).collect() })
}

fn stock_report(
    medium: Medium,
    device: String,
    state: Option<&ctl::ResponseState>,
    roles: Roles,
) -> DeviceReport {
    let info = state.map(|state| state.info.clone()).unwrap_or_default();
    let outcome = match failure(state) {
        Some(text) => DeviceOutcome::Failed(Fault::new("storage", code::UNKNOWN, text, info)),
        None if info.contains(ALREADY_FORMATTED) => DeviceOutcome::AlreadyFormatted(None),
        None if !info.is_empty() => DeviceOutcome::Skipped(info),
        None => DeviceOutcome::Formatted,
    };
    DeviceReport { medium, device: touched(device), outcome, roles }
}

fn touched(device: String) -> String {
    if device == NO_DEVICE { String::new() } else { device }
}
