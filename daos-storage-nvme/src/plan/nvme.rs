//! The rules for NVMe controllers: all active namespaces or none (W17).

use super::{DeviceStep, Intent, Verdict, kdev};
use crate::BdevError;
use crate::model::{DeviceRef, FormatAbility, NamespaceState, NvmeState};

pub(super) fn decide(
    device: &DeviceRef,
    state: &NvmeState,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let uses: Vec<_> = state.controller.uses().into_iter().cloned().collect();
    if !uses.is_empty() {
        return Err(BdevError::InUse { device: device.name.clone(), uses });
    }
    let ids = || state.controller.namespaces.iter().map(|namespace| namespace.id);
    if !ids().eq(state.contents.iter().map(|namespace| namespace.id)) || ids().next().is_none() {
        return Err(BdevError::NotFound { device: format!("{device}: a usable namespace") });
    }
    let blank =
        |content: &Option<_>| content.as_ref().is_some_and(daos_blockdev::Content::is_blank);
    let to_format: Vec<_> = state.contents.iter().filter(|ns| !blank(&ns.content)).collect();
    let ours = to_format.iter().all(|ns| ns.content.as_ref().is_some_and(kdev::is_ours));
    if intent == Intent::Plain && !ours {
        return Err(BdevError::NotBlank {
            device: format!("{device} (serial {})", state.controller.serial),
            content: content_text(state),
        });
    }
    let steps = steps(state.ability, &to_format);
    let destroys = !steps.is_empty();
    Ok(Verdict::Proceed { steps, destroys })
}

/// Format NVM where that reaches no other namespace than those of the plan, which is all or none of a controller (R145, W17).
fn steps(ability: FormatAbility, to_format: &[&NamespaceState]) -> Vec<DeviceStep> {
    let each = |step: fn(u32) -> DeviceStep| to_format.iter().map(|ns| step(ns.id)).collect();
    match ability {
        _ if to_format.is_empty() => Vec::new(),
        FormatAbility::AllTogether => vec![DeviceStep::FormatAllNamespaces],
        FormatAbility::EachNamespace => each(|id| DeviceStep::FormatNamespace { id }),
        FormatAbility::None => each(|id| DeviceStep::EraseNamespace { id }),
    }
}

pub(super) fn content_text(state: &NvmeState) -> String {
    let texts = state.contents.iter().map(|namespace| match &namespace.content {
        Some(content) => format!("namespace {}: {content}", namespace.id),
        None => format!("namespace {}: cannot be read", namespace.id),
    });
    texts.collect::<Vec<_>>().join("; ")
}
