//! What a prepare or reset did, as data and in lines. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use daos_storage_nvme::{BdevError, NodeHugepages, PciAddress, PrepareOutcome, ResetOutcome};
use serde_json::{Value, json};

use crate::fault::{Fault, code};

/// What became of one host's NVMe.
#[derive(Debug, Default)]
pub struct NvmePrepared {
    /// The driver each controller has now, or why it was not made ready.
    pub controllers: Vec<(PciAddress, Result<String, Fault>)>,
    /// Huge pages of each node, where they were asked for.
    pub hugepages: Vec<NodeHugepages>,
    /// What an administrator should know besides, in sentences.
    pub notices: Vec<String>,
}

impl NvmePrepared {
    /// Of a prepare, with the words of its lists that were passed over.
    #[must_use]
    pub fn of(outcome: PrepareOutcome, skipped: &[String]) -> Self {
        let PrepareOutcome { hugepages, controllers, notices } = outcome;
        Self { hugepages, ..Self::with(&controllers, notices, skipped) }
    }

    /// Of a reset.
    #[must_use]
    pub fn of_reset(outcome: ResetOutcome, skipped: &[String]) -> Self {
        Self::with(&outcome.controllers, outcome.notices, skipped)
    }

    fn with(
        controllers: &[(PciAddress, Result<String, Arc<BdevError>>)],
        notices: Vec<String>,
        skipped: &[String],
    ) -> Self {
        let row = |(address, result): &(PciAddress, Result<String, Arc<BdevError>>)| {
            (*address, result.clone().map_err(|error| Fault::from(&*error)))
        };
        let passed_over = skipped
            .iter()
            .map(|word| format!("'{word}' is not a full PCI address and was passed over"));
        Self {
            controllers: controllers.iter().map(row).collect(),
            hugepages: Vec::new(),
            notices: passed_over.chain(notices).collect(),
        }
    }

    /// One fault for each controller that was not had.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.controllers.iter().filter_map(|(_, result)| result.as_ref().err().cloned()).collect()
    }

    /// The same for programs; the keys of `dmg -j storage prepare`.
    #[must_use]
    pub fn data(&self) -> Value {
        let controller = |(address, result): &(PciAddress, Result<String, Fault>)| match result {
            Ok(driver) => json!({"address": address.to_string(), "driver": driver}),
            Err(fault) => json!({
                "address": address.to_string(),
                "error": fault.description,
                "code": fault.code,
                "resolution": fault.resolution,
            }),
        };
        let node = |node: &NodeHugepages| json!({"node": node.node, "pages": node.pages});
        json!({
            "controllers": self.controllers.iter().map(controller).collect::<Vec<_>>(),
            "hugepages": self.hugepages.iter().map(node).collect::<Vec<_>>(),
            "notices": self.notices,
        })
    }

    /// Lines for people; faults are told separately.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (address, result) in &self.controllers {
            let what = match result {
                Ok(driver) => format!("driver {driver}"),
                Err(fault) if fault.code == code::BDEV_NOT_AS_IT_WAS => "not made ready".to_owned(),
                Err(_) => "left as it was".to_owned(),
            };
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  {address}: {what}");
        }
        if self.controllers.is_empty() {
            text.push_str("  no controller\n");
        }
        for NodeHugepages { node, pages } in &self.hugepages {
            let _infallible = writeln!(text, "  NUMA node {node}: {pages} huge pages");
        }
        for notice in &self.notices {
            let _infallible = writeln!(text, "  notice: {notice}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_is_told_and_one_that_was_not_had_has_its_fault() {
        let address = |text: &str| text.parse::<PciAddress>().unwrap();
        let lost = || BdevError::NotFound { device: "0000:82:00.0".to_owned() };
        let changed = BdevError::NotAsItWas {
            device: "0000:83:00.0".to_owned(),
            driver: "no driver".to_owned(),
            source: Box::new(lost()),
        };
        let outcome = PrepareOutcome {
            hugepages: vec![NodeHugepages { node: 1, pages: 512 }],
            controllers: vec![
                (address("0000:81:00.0"), Ok("vfio-pci".to_owned())),
                (address("0000:82:00.0"), Err(Arc::new(lost()))),
                (address("0000:83:00.0"), Err(Arc::new(changed))),
            ],
            notices: vec!["mind the step".to_owned()],
        };
        let done = NvmePrepared::of(outcome, &["000:2".to_owned()]);
        assert_eq!(
            done.text(),
            "  0000:81:00.0: driver vfio-pci\n  0000:82:00.0: left as it was\n  0000:83:00.0: not made ready\n  \
             NUMA node 1: 512 huge pages\n  \
             notice: '000:2' is not a full PCI address and was passed over\n  notice: mind the step\n"
        );
        assert_eq!(done.faults().iter().map(|fault| fault.code).collect::<Vec<_>>(), [304, 1490]);
        let data = done.data();
        assert_eq!(data["controllers"][0]["driver"], "vfio-pci");
        let lost = &data["controllers"][1];
        assert_eq!(lost["code"], 304);
        assert_eq!(lost["error"], done.faults()[0].description);
        assert_eq!(lost["resolution"], done.faults()[0].resolution);
        assert_eq!(data["hugepages"][0]["pages"], 512);
        assert_eq!(NvmePrepared::default().text(), "  no controller\n");
    }
}
