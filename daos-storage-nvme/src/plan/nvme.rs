//! The rules for NVMe controllers: all active namespaces or none (W17).
//!
//! A controller that a driver for user space has is lent to the kernel's driver for the format and given back. What is on it
//! cannot be read before, so it counts as data.

use super::{DeviceStep, Intent, Verdict, kdev};
use crate::BdevError;
use crate::model::{
    DeviceRef, FactSource, FormatAbility, NamespaceState, NvmeState, Obstacle, UserSpace,
};

pub(super) fn decide(
    device: &DeviceRef,
    state: &NvmeState,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    require_unused(device, state)?;
    match state.controller.source {
        FactSource::Controller => with_the_kernel(device, state, intent),
        FactSource::RecordedAtPrepare | FactSource::UserSpace => {
            in_user_space(device, state, intent)
        }
        FactSource::BusOnly => Err(not_recorded(device, state)),
    }
}

/// Nobody uses it or any of its namespaces, whatever the intent. What cannot be told is no 'nobody'.
pub(crate) fn require_unused(device: &DeviceRef, state: &NvmeState) -> Result<(), BdevError> {
    if let Some(untold) = state.controller.untold() {
        let detail = untold.to_string();
        return Err(BdevError::NotTold { device: device.name.clone(), detail });
    }
    let uses: Vec<_> = state.controller.uses().into_iter().cloned().collect();
    if uses.is_empty() {
        Ok(())
    } else {
        Err(BdevError::InUse { device: device.name.clone(), uses })
    }
}

/// Everything on it is blank or our own format.
pub(crate) fn require_ours(device: &DeviceRef, state: &NvmeState) -> Result<(), BdevError> {
    let ours = |namespace: &NamespaceState| {
        let content = namespace.content.as_ref();
        content.is_some_and(|content| content.is_blank() || kdev::is_ours(content))
    };
    if state.contents.iter().all(ours) {
        return Ok(());
    }
    Err(BdevError::NotBlank {
        device: format!("{device} (serial {})", state.controller.serial),
        content: content_text(state),
    })
}

fn require_namespaces(device: &DeviceRef, state: &NvmeState) -> Result<(), BdevError> {
    let ids = || state.controller.namespaces.iter().map(|namespace| namespace.id);
    if ids().eq(state.contents.iter().map(|namespace| namespace.id)) && ids().next().is_some() {
        return Ok(());
    }
    Err(BdevError::NotFound { device: format!("{device}: a usable namespace") })
}

fn with_the_kernel(
    device: &DeviceRef,
    state: &NvmeState,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    require_namespaces(device, state)?;
    // Who uses a namespace that could not be looked at is not known either.
    if let Some(unseen) = state.contents.iter().find(|namespace| namespace.identity.is_none()) {
        let namespace = unseen.id;
        return Err(BdevError::Unseen { device: device.name.clone(), namespace });
    }
    // Its serial number is proven before anything is written, which a controller that does not answer cannot do.
    let silent = |each: &&Obstacle| matches!(each, Obstacle::Silent { .. });
    if let Some(silent) = state.controller.obstacles.iter().find(silent) {
        let detail = silent.to_string();
        return Err(BdevError::NotTold { device: device.name.clone(), detail });
    }
    if intent == Intent::Plain {
        require_ours(device, state)?;
    }
    let blank = |namespace: &NamespaceState| {
        namespace.content.as_ref().is_some_and(daos_blockdev::Content::is_blank)
    };
    let to_format: Vec<_> = state.contents.iter().filter(|ns| !blank(ns)).collect();
    let mut steps = format_steps(state.ability, &to_format);
    let destroys = !steps.is_empty();
    if let Some(user_space) = &state.user_space {
        // A format that did not come to its end took it from there.
        require_right(device, user_space)?;
        steps.push(give_back(user_space));
    }
    Ok(Verdict::Proceed { steps, destroys })
}

fn in_user_space(
    device: &DeviceRef,
    state: &NvmeState,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let Some(user_space) = &state.user_space else { return Err(not_recorded(device, state)) };
    require_namespaces(device, state)?;
    require_right(device, user_space)?;
    let driver = user_space.driver.clone();
    let mut steps = vec![DeviceStep::LendToKernel { driver, only_ours: intent == Intent::Plain }];
    steps.extend(format_steps(state.ability, &state.contents.iter().collect::<Vec<_>>()));
    steps.push(give_back(user_space));
    Ok(Verdict::Proceed { steps, destroys: true })
}

fn require_right(device: &DeviceRef, user_space: &UserSpace) -> Result<(), BdevError> {
    if user_space.may_rebind {
        return Ok(());
    }
    let driver = user_space.driver.clone();
    Err(BdevError::MayNotRebind { device: device.name.clone(), driver })
}

fn not_recorded(device: &DeviceRef, state: &NvmeState) -> BdevError {
    let driver = state.controller.driver.clone().unwrap_or_else(|| "no driver".to_owned());
    BdevError::NotRecorded { device: device.name.clone(), driver }
}

fn give_back(user_space: &UserSpace) -> DeviceStep {
    let UserSpace { driver, owner, mode, may_rebind: _ } = user_space;
    DeviceStep::ReturnToUserSpace { driver: driver.clone(), owner: *owner, mode: *mode }
}

/// Format NVM where that reaches no other namespace than those of the plan, which is all or none of a controller (R145, W17).
fn format_steps(ability: FormatAbility, to_format: &[&NamespaceState]) -> Vec<DeviceStep> {
    let each = |step: fn(u32) -> DeviceStep| to_format.iter().map(|ns| step(ns.id)).collect();
    match ability {
        _ if to_format.is_empty() => Vec::new(),
        FormatAbility::AllTogether => vec![DeviceStep::FormatAllNamespaces],
        FormatAbility::EachNamespace => each(|id| DeviceStep::FormatNamespace { id }),
        FormatAbility::None => each(|id| DeviceStep::EraseNamespace { id }),
    }
}

pub(super) fn content_text(state: &NvmeState) -> String {
    let unread = match (&state.controller.source, &state.controller.driver) {
        (FactSource::Controller, _) | (_, None) => "cannot be read".to_owned(),
        (_, Some(driver)) => format!("not readable while bound to {driver}"),
    };
    let texts = state.contents.iter().map(|namespace| match &namespace.content {
        Some(content) => format!("namespace {}: {content}", namespace.id),
        None => format!("namespace {}: {unread}", namespace.id),
    });
    texts.collect::<Vec<_>>().join("; ")
}
