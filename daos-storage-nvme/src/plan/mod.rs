//! What may be formatted, and what that will do: pure rules over observations, and the plan they make.
//!
//! `plan` decides for each device alone. A plan is shown, and turns into something that can be executed only
//! through [`BdevPlan::accept`] with the digest that was shown. Must not touch the system.

mod accept;
mod file;
mod kdev;
mod nvme;
mod step;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    BdevTarget, DeviceRef, DeviceState, FactSource, FileState, ObservedDevice, TierDevices,
};
use crate::{BdevError, Roles};

pub use accept::{AcceptedBdevPlan, PlanDigest};
pub(crate) use kdev::is_ours;
pub(crate) use nvme::{require_ours, require_unused};
pub use step::DeviceStep;

/// How much the administrator is ready to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Blank devices and our own format only.
    Plain,
    /// Whatever is on the configured devices, as long as nobody uses them.
    Reformat,
}

/// What will be done with one device.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// These steps, in this order. None at all means that the device already is as a format leaves it.
    Proceed {
        /// The steps.
        steps: Vec<DeviceStep>,
        /// Something that exists now will be lost.
        destroys: bool,
    },
    /// There is nothing to format, and why.
    Skip(&'static str),
    /// Nothing will be done, and why.
    Refused(Arc<BdevError>),
}

/// The plan for one device.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    device: DeviceRef,
    roles: Roles,
    state: Option<DeviceState>,
    verdict: Verdict,
}

impl DevicePlan {
    /// Which device.
    #[must_use]
    pub fn device(&self) -> &DeviceRef {
        &self.device
    }

    /// Roles of its tier.
    #[must_use]
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// What it was when the plan was made, unless that could not be told.
    #[must_use]
    pub fn state(&self) -> Option<&DeviceState> {
        self.state.as_ref()
    }

    /// What will be done.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether something that exists now will be lost.
    #[must_use]
    pub fn destroys(&self) -> bool {
        matches!(self.verdict, Verdict::Proceed { destroys: true, .. })
    }

    fn identity_text(&self) -> String {
        match &self.state {
            Some(DeviceState::File(FileState::Absent { .. })) => "absent".to_owned(),
            Some(DeviceState::File(FileState::Present(facts))) => format!(
                "{}, {} bytes, inode {} on {}",
                facts.kind, facts.size_bytes, facts.inode, facts.file_system
            ),
            Some(DeviceState::Kernel(facts)) => facts.identity.to_string(),
            Some(DeviceState::Nvme(state)) => {
                let controller = &state.controller;
                let bytes = controller.capacity_bytes();
                let source = match controller.source {
                    FactSource::Controller => String::new(),
                    other => format!(", {other}"),
                };
                format!(
                    "model {}, serial {}, {bytes} bytes{source}",
                    controller.model, controller.serial
                )
            }
            Some(DeviceState::Memory) => "memory of the engine".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    fn content_text(&self) -> String {
        match &self.state {
            Some(DeviceState::File(FileState::Present(facts))) => facts.content.to_string(),
            Some(DeviceState::Kernel(facts)) => facts.content.to_string(),
            Some(DeviceState::Nvme(state)) => nvme::content_text(state),
            Some(DeviceState::File(FileState::Absent { .. }) | DeviceState::Memory) => {
                "nothing".to_owned()
            }
            None => "unknown".to_owned(),
        }
    }

    /// The plan for this device as a row of text.
    #[must_use]
    pub fn row(&self) -> PlanRow {
        let steps = match &self.verdict {
            Verdict::Proceed { steps, .. } => steps.iter().map(ToString::to_string).collect(),
            Verdict::Skip(why) => vec![format!("nothing: {why}")],
            Verdict::Refused(_) => Vec::new(),
        };
        let refusal = match &self.verdict {
            Verdict::Refused(error) => Some(Refusal {
                code: error.code(),
                text: error.to_string(),
                resolution: error.resolution().to_owned(),
            }),
            _ => None,
        };
        PlanRow {
            device: self.device.name.clone(),
            class: self.device.class.name().to_owned(),
            tier: self.device.tier,
            role_bits: self.roles.bits(),
            identity: self.identity_text(),
            content: self.content_text(),
            steps,
            destroys: self.destroys(),
            refusal,
        }
    }
}

/// One device of a plan as an administrator reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// PCI address, path, or `malloc <n>`.
    pub device: String,
    /// Class name.
    pub class: String,
    /// Tier number.
    pub tier: u32,
    /// Sum of the role bits.
    pub role_bits: u8,
    /// Which device it is: size, model, serial.
    pub identity: String,
    /// What is on it now.
    pub content: String,
    /// What will happen, in order; empty when refused or when nothing needs doing.
    pub steps: Vec<String>,
    /// Something that exists now will be lost.
    pub destroys: bool,
    /// Why nothing will be done.
    pub refusal: Option<Refusal>,
}

/// Why a device is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Fault number.
    pub code: i32,
    /// What is the matter.
    pub text: String,
    /// What to do about it.
    pub resolution: String,
}

/// What will be done with every device of a target.
#[derive(Debug, Clone)]
pub struct BdevPlan {
    target: BdevTarget,
    intent: Intent,
    devices: Vec<DevicePlan>,
}

impl BdevPlan {
    /// The target it is for.
    #[must_use]
    pub fn target(&self) -> &BdevTarget {
        &self.target
    }

    /// How much may be lost.
    #[must_use]
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// Device by device, in the order of the target.
    #[must_use]
    pub fn devices(&self) -> &[DevicePlan] {
        &self.devices
    }

    /// Whether anything that exists now will be lost.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.devices.iter().any(DevicePlan::destroys)
    }

    /// The plan as rows of text.
    #[must_use]
    pub fn rows(&self) -> Vec<PlanRow> {
        self.devices.iter().map(DevicePlan::row).collect()
    }
}

impl fmt::Display for BdevPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows() {
            write!(f, "{} ({}; {}): ", row.device, row.identity, row.content)?;
            match &row.refusal {
                Some(refusal) => writeln!(f, "refused: {}", refusal.text)?,
                None if row.steps.is_empty() => writeln!(f, "nothing to do")?,
                None => writeln!(f, "{}", row.steps.join(", "))?,
            }
        }
        Ok(())
    }
}

/// Decides for each device of a target what a format would do.
///
/// What is in use is refused whatever the intent. What is neither blank nor our own format is refused unless
/// the intent is [`Intent::Reformat`]. A refused device does not keep the others from being formatted.
///
/// # Errors
/// [`BdevTarget::check`], or `observed` is not about this target.
pub fn plan(
    target: &BdevTarget,
    observed: &[ObservedDevice],
    intent: Intent,
) -> Result<BdevPlan, BdevError> {
    target.check()?;
    let asked = target.devices();
    if !asked.iter().eq(observed.iter().map(|device| &device.device)) {
        return Err(BdevError::BadTarget {
            detail: "what was observed is not what is configured".to_owned(),
        });
    }
    let mut devices: Vec<DevicePlan> = observed
        .iter()
        .map(|observed| {
            let tier = target.tier_of(&observed.device);
            let (state, verdict) = match &observed.state {
                Ok(state) => {
                    let verdict = decide(target, &observed.device, state, intent);
                    (Some(state.clone()), verdict.unwrap_or_else(refused))
                }
                Err(error) => (None, Verdict::Refused(Arc::clone(error))),
            };
            DevicePlan {
                device: observed.device.clone(),
                roles: tier.map_or(Roles::NONE, |tier| tier.roles),
                state,
                verdict,
            }
        })
        .collect();
    refuse_the_same_device_twice(&mut devices);
    Ok(BdevPlan { target: target.clone(), intent, devices })
}

fn refused(error: BdevError) -> Verdict {
    Verdict::Refused(Arc::new(error))
}

fn decide(
    target: &BdevTarget,
    device: &DeviceRef,
    state: &DeviceState,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let tier = target.tier_of(device).map(|tier| &tier.devices);
    match (tier, state) {
        (Some(TierDevices::File { size_gib, .. }), DeviceState::File(state)) => {
            file::decide(device, state, *size_gib, target.owner, intent)
        }
        (Some(TierDevices::Kdev { .. }), DeviceState::Kernel(facts)) => {
            kdev::decide(device, facts, intent)
        }
        (Some(TierDevices::Nvme { .. }), DeviceState::Nvme(state)) => {
            nvme::decide(device, state, intent)
        }
        (Some(TierDevices::Malloc { .. }), DeviceState::Memory) => {
            Ok(Verdict::Skip("memory of the engine, made when it starts"))
        }
        _ => Err(BdevError::changed(device, "what was observed is of another class")),
    }
}

/// Two names may lead to one device: a link and the device itself, or two names of a file.
fn refuse_the_same_device_twice(devices: &mut [DevicePlan]) {
    let mut seen: BTreeMap<(&'static str, String), Vec<usize>> = BTreeMap::new();
    for (index, plan) in devices.iter().enumerate() {
        let key = match &plan.state {
            Some(DeviceState::Kernel(facts)) => ("device", facts.identity.number.to_string()),
            Some(DeviceState::File(FileState::Present(facts))) => {
                ("file", format!("{} {}", facts.file_system, facts.inode))
            }
            _ => continue,
        };
        seen.entry(key).or_default().push(index);
    }
    let twice: Vec<usize> =
        seen.into_values().filter(|indexes| indexes.len() > 1).flatten().collect();
    for index in twice {
        if let Some(plan) = devices.get_mut(index) {
            plan.verdict = refused(BdevError::DuplicateDevice { device: plan.device.name.clone() });
        }
    }
}
