//! The admin commands that discovery and format need, and what their answers mean (NVMe base specification, Identify,
//! Get Log Page, Format NVM).
//!
//! Called by `discover` and `format`. Reading bytes is pure and tested alone; sending goes through `sys`.

mod identify;
mod smart;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

pub(super) use self::identify::{ControllerFacts, NamespaceFacts, active_namespaces};
use super::sys::{self, Command, Failed};
use crate::model::NvmeHealth;

const IDENTIFY: u8 = 0x06;
const GET_LOG_PAGE: u8 = 0x02;
const FORMAT_NVM: u8 = 0x80;
const SMART_LOG: u32 = 0x02;
/// For commands that reach all namespaces.
const ALL_NAMESPACES: u32 = 0xffff_ffff;
/// How long a format may take: large drives without a quick erase write all of themselves.
const FORMAT_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error("{command}: {source}")]
    Kernel {
        command: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{command}: the controller answered with status {status:#06x}")]
    Status { command: &'static str, status: u16 },
    #[error("{command}: the controller's answer makes no sense: {detail}")]
    Answer { command: &'static str, detail: &'static str },
}

fn send(
    device: impl AsFd,
    name: &'static str,
    command: Command,
    data: &mut [u8],
) -> Result<(), AdminError> {
    match sys::submit(device, command, data) {
        Ok(_) => Ok(()),
        Err(Failed::Kernel(source)) => Err(AdminError::Kernel { command: name, source }),
        Err(Failed::Status(status)) => Err(AdminError::Status { command: name, status }),
    }
}

fn identify(device: impl AsFd, namespace: u32, what: u32) -> Result<Vec<u8>, AdminError> {
    let mut data = vec![0; identify::BYTES];
    let command = Command { opcode: IDENTIFY, namespace, dword10: what, ..Command::default() };
    send(device, "Identify", command, &mut data)?;
    Ok(data)
}

/// Who the controller is and what it can do.
pub(super) fn identify_controller(device: impl AsFd) -> Result<ControllerFacts, AdminError> {
    identify::controller(&identify(device, 0, identify::CONTROLLER)?)
}

/// Size and block format of a namespace.
pub(super) fn identify_namespace(device: impl AsFd, id: u32) -> Result<NamespaceFacts, AdminError> {
    identify::namespace(&identify(device, id, identify::NAMESPACE)?)
}

/// Ids of the active namespaces, ascending; at most the 1,024 that one answer holds.
pub(super) fn active_ids(device: impl AsFd) -> Result<Vec<u32>, AdminError> {
    Ok(active_namespaces(&identify(device, 0, identify::ACTIVE_NAMESPACES)?))
}

/// Ids of the namespaces that exist, attached to this controller or not. Only controllers with namespace management answer.
pub(super) fn allocated_ids(device: impl AsFd) -> Result<Vec<u32>, AdminError> {
    Ok(active_namespaces(&identify(device, 0, identify::ALLOCATED_NAMESPACES)?))
}

/// Health of the controller in the units of R141.
pub(super) fn health(device: impl AsFd) -> Result<NvmeHealth, AdminError> {
    let mut data = vec![0; smart::BYTES];
    let dwords = u32::try_from(smart::BYTES / 4 - 1).unwrap_or(0);
    let command = Command {
        opcode: GET_LOG_PAGE,
        namespace: ALL_NAMESPACES,
        dword10: SMART_LOG | dwords << 16,
        ..Command::default()
    };
    send(device, "Get Log Page (SMART)", command, &mut data)?;
    smart::health(&data)
}

/// Formats one namespace, or all when `id` is `None`, in the block format it has now, without secure erase.
pub(super) fn format(device: impl AsFd, id: Option<u32>, lba_format: u8) -> Result<(), AdminError> {
    let command = Command {
        opcode: FORMAT_NVM,
        namespace: id.unwrap_or(ALL_NAMESPACES),
        // Bits 0-3 and 12-13 hold the index of the format (from specification 2.0 on; zero before).
        dword10: u32::from(lba_format & 0xf) | u32::from(lba_format >> 4 & 0x3) << 12,
        timeout_ms: u32::try_from(FORMAT_LIMIT.as_millis()).unwrap_or(u32::MAX),
        ..Command::default()
    };
    send(device, "Format NVM", command, &mut [])
}
