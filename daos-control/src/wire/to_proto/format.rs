//! What came of a format, in the rows that stock clients read (contract 7.4).

use daos_proto::ctl::{
    NvmeControllerResult, ResponseState, ResponseStatus, ScmMountResult, StorageFormatResp,
};

use super::state::{failed, succeeded};
use crate::fault::Fault;
use crate::format::{DeviceOutcome, DeviceReport, FormatReport, StorageMedium};

/// The answer to a format: one row per mount, one per device. Control metadata has no rows on this wire.
///
/// # Errors
/// The fault of control metadata that could not be formatted, which fails the whole call.
pub fn format_response(report: &FormatReport) -> Result<StorageFormatResp, Fault> {
    let mut response = StorageFormatResp::default();
    for row in report.rows() {
        match (row.medium, &row.outcome) {
            (StorageMedium::Metadata, DeviceOutcome::Failed(fault)) => return Err(fault.clone()),
            (StorageMedium::Metadata, _) => {}
            (StorageMedium::Scm, _) => response.mrets.push(ScmMountResult {
                mntpoint: row.device.clone(),
                state: Some(state(row, ResponseStatus::CtlErrScm)),
                instanceidx: row.engine,
            }),
            (StorageMedium::Nvme, _) => response.crets.push(NvmeControllerResult {
                pci_addr: row.device.clone(),
                state: Some(state(row, ResponseStatus::CtlErrNvme)),
                role_bits: row.role_bits.into(),
            }),
        }
    }
    Ok(response)
}

fn state(row: &DeviceReport, failure: ResponseStatus) -> ResponseState {
    match &row.outcome {
        DeviceOutcome::Failed(fault) => failed(failure, fault),
        other => succeeded(other.info()),
    }
}

#[cfg(test)]
mod tests {
    use super::format_response;
    use crate::fault::Fault;
    use crate::format::{
        DeviceOutcome, DeviceReport, EngineReport, FormatReport, NO_DEVICE, Skip, StorageMedium,
    };

    fn row(medium: StorageMedium, device: &str, outcome: DeviceOutcome) -> DeviceReport {
        DeviceReport { engine: 1, medium, device: device.into(), role_bits: 7, outcome }
    }

    fn report(devices: Vec<DeviceReport>) -> FormatReport {
        FormatReport { engines: vec![EngineReport { index: 1, devices, formatted: false }] }
    }

    #[test]
    fn every_device_has_its_row_and_one_failure_hides_no_other() {
        let fault = Fault::new("bdev", 302, "b0rked", "replace it");
        let response = format_response(&report(vec![
            row(StorageMedium::Metadata, "/m", DeviceOutcome::Formatted),
            row(StorageMedium::Scm, "/mnt/d1", DeviceOutcome::Formatted),
            row(StorageMedium::Nvme, "/f0", DeviceOutcome::Failed(fault.clone())),
            row(StorageMedium::Nvme, "/f1", DeviceOutcome::Formatted),
        ]))
        .expect("metadata is fine");
        let [mount] = response.mrets.as_slice() else { panic!("{response:?}") };
        assert_eq!((mount.mntpoint.as_str(), mount.instanceidx), ("/mnt/d1", 1));
        let [bad, good] = response.crets.as_slice() else { panic!("{response:?}") };
        let state = bad.state.as_ref().expect("a state");
        assert_eq!((state.status, state.info.as_str()), (-2, "replace it"));
        assert_eq!(state.error, fault.to_string());
        assert_eq!(good.state.as_ref().map(|state| state.status), Some(0));
        assert_eq!(good.role_bits, 7);
    }

    #[test]
    fn what_was_left_alone_is_a_success_that_says_why() {
        let already = DeviceOutcome::AlreadyFormatted(Fault::new("scm", 101, "", ""));
        let skipped = DeviceOutcome::Skipped(Skip::ScmNotFormatted { engine: 1 });
        let response = format_response(&report(vec![
            row(StorageMedium::Scm, "/mnt/d1", already),
            row(StorageMedium::Nvme, NO_DEVICE, skipped),
        ]))
        .expect("no metadata");
        let mount = response.mrets[0].state.as_ref().expect("a state");
        assert_eq!((mount.status, mount.info.as_str()), (0, "SCM is already formatted"));
        assert_eq!(response.crets[0].pci_addr, "<nil>");
        let device = response.crets[0].state.as_ref().expect("a state");
        assert_eq!(device.info, "NVMe format skipped on instance 1, SCM was not formatted");
    }

    #[test]
    fn control_metadata_that_fails_fails_the_call() {
        let fault = Fault::new("controlmetadata", 1001, "nfs", "use a local disk");
        let refused = format_response(&report(vec![row(
            StorageMedium::Metadata,
            "/m",
            DeviceOutcome::Failed(fault.clone()),
        )]));
        assert_eq!(refused.expect_err("failed"), fault);
    }
}
