//! What a prepare or reset did, in lines and as data. Pure.

use std::fmt::Write as _;

use daos_storage_nvme::{PrepareOutcome, ResetOutcome};
use serde::Serialize;

use crate::fault::Fault;

/// What became of one host's NVMe, for people and programs.
#[derive(Debug, Default, Serialize)]
pub struct NvmePrepared {
    controllers: Vec<Controller>,
    hugepages: Vec<Pages>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<String>,
    #[serde(skip)]
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Controller {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Pages {
    node: u32,
    pages: u64,
}

impl NvmePrepared {
    /// Of a prepare, with the words of its lists that were passed over.
    #[must_use]
    pub fn of(outcome: &PrepareOutcome, skipped: &[String]) -> Self {
        let pages =
            |node: &daos_storage_nvme::NodeHugepages| Pages { node: node.node, pages: node.pages };
        Self {
            hugepages: outcome.hugepages.iter().map(pages).collect(),
            ..Self::with(&outcome.controllers, &outcome.notices, skipped)
        }
    }

    /// Of a reset.
    #[must_use]
    pub fn of_reset(outcome: &ResetOutcome, skipped: &[String]) -> Self {
        Self::with(&outcome.controllers, &outcome.notices, skipped)
    }

    fn with(
        controllers: &[(
            daos_storage_nvme::PciAddress,
            Result<String, std::sync::Arc<daos_storage_nvme::BdevError>>,
        )],
        notices: &[String],
        skipped: &[String],
    ) -> Self {
        let row = |(address, result): &(daos_storage_nvme::PciAddress, Result<String, _>)| {
            let error: Option<&std::sync::Arc<daos_storage_nvme::BdevError>> =
                result.as_ref().err();
            Controller {
                address: address.to_string(),
                driver: result.as_ref().ok().cloned(),
                error: error.map(ToString::to_string),
            }
        };
        let passed_over = skipped
            .iter()
            .map(|word| format!("'{word}' is not a full PCI address and was passed over"));
        Self {
            controllers: controllers.iter().map(row).collect(),
            hugepages: Vec::new(),
            notices: passed_over.chain(notices.iter().cloned()).collect(),
            faults: controllers
                .iter()
                .filter_map(|(_, result)| result.as_ref().err())
                .map(|error| Fault::from(&**error))
                .collect(),
        }
    }

    /// One fault for each controller that was not had.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Lines for people; errors are told separately.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Controller { address, driver, error } in &self.controllers {
            let what = match (driver, error) {
                (Some(driver), _) => format!("driver {driver}"),
                (None, _) => "left as it was".to_owned(),
            };
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  {address}: {what}");
        }
        if self.controllers.is_empty() {
            text.push_str("  no controller\n");
        }
        for Pages { node, pages } in &self.hugepages {
            let _infallible = writeln!(text, "  NUMA node {node}: {pages} huge pages");
        }
        for notice in &self.notices {
            let _infallible = writeln!(text, "  notice: {notice}");
        }
        text
    }
}
