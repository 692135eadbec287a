//! The digest of a plan, and the proof that a plan was shown: [`AcceptedBdevPlan`] is made nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BdevPlan, DevicePlan, DeviceStep, Intent, Verdict};
use crate::model::{BdevTarget, DeviceRef, DeviceState};
use crate::{BdevClass, BdevError};

/// SHA-256 over everything a plan says, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// A digest that came back from an administrator. Any text: a wrong one simply matches no plan.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is hashed: field order and names are part of the format.
#[derive(Serialize)]
struct Canonical<'a> {
    version: u32,
    target: &'a BdevTarget,
    intent: Intent,
    devices: Vec<CanonicalDevice<'a>>,
}

#[derive(Serialize)]
struct CanonicalDevice<'a> {
    device: &'a DeviceRef,
    /// Nothing is done to a refused device, and who uses it (process ids, say) may change between two looks.
    state: Option<&'a DeviceState>,
    steps: &'a [DeviceStep],
    destroys: bool,
    skipped: Option<&'a str>,
    refused: Option<i32>,
}

impl<'a> CanonicalDevice<'a> {
    fn of(plan: &'a DevicePlan) -> Self {
        let base = Self {
            device: &plan.device,
            state: plan.state.as_ref(),
            steps: &[],
            destroys: plan.destroys(),
            skipped: None,
            refused: None,
        };
        match &plan.verdict {
            Verdict::Proceed { steps, .. } => Self { steps, ..base },
            Verdict::Skip(why) => Self { skipped: Some(why), ..base },
            Verdict::Refused(error) => Self { state: None, refused: Some(error.code()), ..base },
        }
    }
}

impl BdevPlan {
    /// The digest over target, intent, and for each device its identity, contents and steps. Equal plans have
    /// equal digests, in other processes too.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        let canonical = Canonical {
            version: 1,
            target: &self.target,
            intent: self.intent,
            devices: self.devices.iter().map(CanonicalDevice::of).collect(),
        };
        let mut hasher = Sha256::new();
        // Paths that are not UTF-8 cannot be serialised; their debug form tells them apart just as well.
        match serde_json::to_vec(&canonical) {
            Ok(bytes) => hasher.update(bytes),
            Err(_) => hasher.update(format!("{self:?}")),
        }
        PlanDigest(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Turns the plan into something a provider will carry out.
    ///
    /// # Errors
    /// [`BdevError::PlanChanged`] when the digest is not this plan's: what was shown is not what would happen.
    pub fn accept(self, shown: &PlanDigest) -> Result<AcceptedBdevPlan, BdevError> {
        let digest = self.digest();
        if digest == *shown {
            return Ok(AcceptedBdevPlan { target: self.target, devices: self.devices });
        }
        Err(BdevError::PlanChanged {
            subject: format!("block devices of engine {}", self.target.engine),
            detail: format!("the plan shown was {shown}, now it is {digest}"),
        })
    }
}

/// A plan that was shown and accepted: the only thing [`crate::BdevProvider::format`] takes.
#[derive(Debug, Clone)]
pub struct AcceptedBdevPlan {
    target: BdevTarget,
    devices: Vec<DevicePlan>,
}

impl AcceptedBdevPlan {
    /// The target it is for.
    #[must_use]
    pub fn target(&self) -> &BdevTarget {
        &self.target
    }

    /// Device by device.
    #[must_use]
    pub fn devices(&self) -> &[DevicePlan] {
        &self.devices
    }

    /// The part of the plan for one class, for a body that handles only that.
    #[must_use]
    pub fn only(&self, class: BdevClass) -> Self {
        let devices = self.devices.iter().filter(|plan| plan.device.class == class);
        Self { target: self.target.only(class), devices: devices.cloned().collect() }
    }
}
