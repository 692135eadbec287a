//! The state of one socket, from its regions and goals (R133, with the states of 2.8).

use crate::model::{
    GoalSupport, Labels, NamespaceFacts, NamespaceMode, NamespacesPerSocket, PmemFacts,
    RegionFacts, RegionHealth, RegionKind, SocketState,
};

/// Persistent regions of a socket; ordinary memory is none (Memory Mode shows as such a region).
pub(super) fn regions_of(facts: &PmemFacts, socket: u32) -> Vec<&RegionFacts> {
    let own = facts.regions.iter().filter(|each| each.region.socket == socket);
    own.filter(|each| each.region.kind != RegionKind::Volatile).collect()
}

/// Those of them that its modules make: the ones that goals and labels are about.
pub(super) fn own_regions(facts: &PmemFacts, socket: u32) -> Vec<&RegionFacts> {
    let mut regions = regions_of(facts, socket);
    regions.retain(|region| !region.has_no_modules());
    regions
}

/// Where namespaces are wanted: in regions of modules, or, on a socket that has neither, in what the platform's tables
/// tell of.
pub(super) fn regions_to_fill(facts: &PmemFacts, socket: u32) -> Vec<&RegionFacts> {
    let own = own_regions(facts, socket);
    let modules = facts.modules.iter().any(|module| module.socket == socket);
    match own.is_empty() && !modules {
        true => regions_of(facts, socket),
        false => own,
    }
}

/// State of one socket, as far as namespaces per region are wanted. Problems come before everything else: nothing
/// is built on a region that is broken.
#[must_use]
pub fn socket_state(facts: &PmemFacts, socket: u32, wanted: NamespacesPerSocket) -> SocketState {
    let hidden = regions_of(facts, socket).into_iter().find(|region| region.disabled);
    if let Some(region) = hidden {
        return SocketState::Disabled(region.shown());
    }
    let goes = |goal: &&crate::model::PendingGoal| goal.socket == socket && goal.refused.is_none();
    if facts.pending.iter().any(|goal| goes(&goal)) {
        return SocketState::GoalPending;
    }
    let regions = regions_to_fill(facts, socket);
    if regions.is_empty() {
        return SocketState::NoRegions;
    }
    if let Some(problem) = problem(facts, &regions) {
        return problem;
    }
    if let Some(hidden) = regions.iter().find(|each| each.name.is_none()) {
        return SocketState::UnknownMode(format!("the kernel does not show {}", hidden.shown()));
    }
    let unlabelled = regions.iter().filter(|each| each.labels == Labels::Missing);
    let mut missing = false;
    for region in unlabelled.filter(|each| !each.namespaces.iter().any(NamespaceFacts::is_usable)) {
        match why_not_labels(region) {
            Some(why) => return SocketState::UnknownMode(why),
            None => missing = true,
        }
    }
    match missing {
        true => SocketState::LabelsMissing,
        false => capacity_state(&regions, usize::from(wanted.get())),
    }
}

/// What is wrong with regions. The vendor's library knows nothing of those without modules.
fn problem(facts: &PmemFacts, regions: &[&RegionFacts]) -> Option<SocketState> {
    let managed = matches!(facts.goals, GoalSupport::Vendor { .. });
    for each in regions {
        let (name, vendor) = (each.shown(), managed && !each.has_no_modules());
        match each.region.kind {
            RegionKind::Unknown => return Some(SocketState::UnknownMode(name)),
            RegionKind::AppDirectNotInterleaved if vendor => {
                return Some(SocketState::NotInterleaved);
            }
            _ => {}
        }
        let why = match each.region.health {
            RegionHealth::Error => "has an error",
            RegionHealth::Locked => "is locked",
            RegionHealth::Unknown if vendor => "is of unknown health",
            _ => continue,
        };
        return Some(SocketState::NotHealthy(format!("{name} {why}")));
    }
    // Goals make one interleaved region of a socket; several are something else.
    let several = regions.iter().filter(|each| !each.has_no_modules()).count() > 1;
    (managed && several).then_some(SocketState::NotInterleaved)
}

/// Labels are written only over what a module without any looks like: one raw namespace that can be looked at.
fn why_not_labels(region: &RegionFacts) -> Option<String> {
    let name = region.shown();
    match region.namespaces.as_slice() {
        [one] if region.has_no_modules() => Some(format!(
            "{name} is of no module, so it takes no labels; ndctl create-namespace -f -e {} -m fsdax makes it usable",
            one.name
        )),
        [one] if one.disabled => Some(format!(
            "{name} has no labels, and {} is disabled; see what is on it with ndctl enable-namespace {}",
            one.name, one.name
        )),
        [one] if one.mode == NamespaceMode::Raw && one.blockdev.is_some() => None,
        [] => Some(format!("{name} has no labels, and the kernel shows no namespace of it")),
        all => {
            let there: Vec<String> =
                all.iter().map(|each| format!("{} of mode {}", each.name, each.mode)).collect();
            Some(format!("{name} has no labels, but {}", there.join(", ")))
        }
    }
}

fn capacity_state(regions: &[&RegionFacts], wanted: usize) -> SocketState {
    let free: Vec<&&RegionFacts> = regions.iter().filter(|each| has_room(each)).collect();
    if free.is_empty() {
        return SocketState::NoCapacity;
    }
    match free.iter().find(|each| each.namespaces.len() >= wanted) {
        Some(region) => SocketState::PartialFreeCapacity(format!(
            "{} has {} namespaces and {} bytes left",
            region.shown(),
            region.namespaces.len(),
            region.region.free_capacity
        )),
        None => SocketState::FreeCapacity,
    }
}

/// Whether a namespace fits that is worth one: what rounding down leaves over does not count. Without labels, or
/// modules to write them to, there is no room, whatever the kernel says.
pub(super) fn has_room(region: &RegionFacts) -> bool {
    const LEAST: u64 = 16 << 20;
    let leftovers = region.align.saturating_mul(4);
    region.labels == Labels::Ready
        && !region.has_no_modules()
        && region.region.free_capacity >= LEAST
        && (region.is_empty() || region.region.free_capacity >= leftovers)
}
